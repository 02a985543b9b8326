using System.Reflection;
using System.Reflection.Emit;
using CommandLine;
using CommandLine.Text;
using Lguest.Devices.Backends;

namespace Lguest.CommandLine;

/// <summary>
/// The list of options for <c>--help</c>, by CommandLineParser, which costs as much as all else before the guest's first
/// instruction: only who asks for help loads it.
/// </summary>
/// <remarks>
/// The library takes declarations from the attributes of a class. That class is made from the table here, so that nobody
/// writes anything twice.
/// </remarks>
internal static class OptionHelp
{
    private const int Width = 100;

    /// <summary>The options that a command may have, with their help.</summary>
    public static string Text(OptionTable table, Command command)
    {
        Type declarations = Declare(table.Declared.Where(option => option.IsFor(command)));

        // The library asks System.Console for the width of the terminal.
        using var aside = new StandardOutputAside();
        using var parser = new Parser(settings =>
        {
            settings.AutoHelp = false;
            settings.AutoVersion = false;
            settings.HelpWriter = null;
        });
        var help = new HelpText
        {
            AdditionalNewLineAfterOption = false,
            AddDashesToOption = true,
            AutoHelp = false,
            AutoVersion = false,
            MaximumDisplayWidth = Width,
        };
        return help.AddOptions(parser.ParseArguments(() => Activator.CreateInstance(declarations)!, [])).ToString();
    }

    private static Type Declare(IEnumerable<Option> options)
    {
        const string Name = "Options";
        TypeBuilder type = AssemblyBuilder.DefineDynamicAssembly(new AssemblyName(Name), AssemblyBuilderAccess.Run)
            .DefineDynamicModule(Name)
            .DefineType(Name, TypeAttributes.Public);
        ConstructorInfo attribute = typeof(OptionAttribute).GetConstructor([typeof(string)])!;
        PropertyInfo[] texts = [Text(nameof(OptionAttribute.MetaValue)), Text(nameof(OptionAttribute.HelpText))];
        foreach (Option option in options)
        {
            Type kind = option.Value == OptionValue.None ? typeof(bool) : typeof(string);
            PropertyBuilder property = type.DefineProperty(option.Name, PropertyAttributes.None, kind, null);
            property.SetSetMethod(DefineSetter(type, option.Name, kind));
            string form = option.Value == OptionValue.Optional ? $"[{option.Form}]" : option.Form ?? string.Empty;
            property.SetCustomAttribute(new CustomAttributeBuilder(attribute, [option.Name], texts, [form, option.Help]));
        }

        return type.CreateType();

        static PropertyInfo Text(string name) => typeof(OptionAttribute).GetProperty(name)!;
    }

    // Nothing is ever set, but only what can be is an option to the library.
    private static MethodBuilder DefineSetter(TypeBuilder type, string name, Type kind)
    {
        MethodBuilder setter = type.DefineMethod($"set_{name}", MethodAttributes.Public, null, [kind]);
        setter.GetILGenerator().Emit(OpCodes.Ret);
        return setter;
    }
}
