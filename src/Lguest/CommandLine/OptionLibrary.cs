using System.Reflection;
using CommandLine;
using CommandLine.Text;
using Lguest.Devices.Backends;

namespace Lguest.CommandLine;

/// <summary>
/// All dealings with CommandLineParser, which checks options against <see cref="DeclaredOptions"/> and writes the
/// help. It costs tens of milliseconds, as much as all else before the guest's first instruction: options that are
/// written as declared go to their places without it.
/// </summary>
internal static class OptionLibrary
{
    private const int HelpWidth = 100;

    /// <summary>Gives options their places.</summary>
    /// <exception cref="CommandLineException">One is unknown, has a value it can't have or lacks one, or contradicts another.</exception>
    public static DeclaredOptions Parse(IReadOnlyList<OptionWord> options)
    {
        CheckRepeats(options);
        CheckValues(options);
        return Place(options) ?? Check(options);
    }

    /// <summary>The list of options with their help.</summary>
    public static string HelpText()
    {
        using var aside = new StandardOutputAside();
        var help = new HelpText
        {
            AdditionalNewLineAfterOption = false,
            AddDashesToOption = true,
            AutoHelp = false,
            AutoVersion = false,
            MaximumDisplayWidth = HelpWidth,
        };
        return help.AddOptions(Run([])).ToString();
    }

    /// <summary>Lets the library give options their places.</summary>
    /// <exception cref="CommandLineException">It won't.</exception>
    internal static DeclaredOptions Check(IReadOnlyList<OptionWord> options)
    {
        ParserResult<DeclaredOptions> result = Run(WithoutRepeats(options).SelectMany(Tokens));
        return result.Errors.FirstOrDefault() is { } error ? throw new CommandLineException(Explain(error)) : result.Value;
    }

    /// <summary>Gives options their places as the library would; null when one isn't declared, and the library has to say so.</summary>
    internal static DeclaredOptions? Place(IReadOnlyList<OptionWord> options)
    {
        var placed = new DeclaredOptions();
        var lists = new Dictionary<PropertyInfo, List<string>>();
        foreach (OptionWord option in options)
        {
            if (Declaration(option.Name) is not { } property)
            {
                return null;
            }

            if (!IsList(property))
            {
                property.SetValue(placed, property.PropertyType == typeof(bool) ? true : option.Value);
            }
            else if (lists.TryGetValue(property, out List<string>? list))
            {
                list.Add(option.Value!);
            }
            else
            {
                lists.Add(property, [option.Value!]);
                property.SetValue(placed, lists[property]);
            }
        }

        return placed;
    }

    // The library takes --name=value apart with regular expressions, which would be half of its cost: it gets
    // two words where it can't misunderstand them.
    private static string[] Tokens(OptionWord option) => option.Value is { Length: > 0 } value && !value.StartsWith('-')
        ? [$"--{option.Name}", value]
        : [option.ToString()];

    // The library asks System.Console for the width of the terminal.
    private static ParserResult<DeclaredOptions> Run(IEnumerable<string> arguments)
    {
        using var aside = new StandardOutputAside();
        using var parser = new Parser(settings =>
        {
            settings.AllowMultiInstance = true;
            settings.AutoHelp = false;
            settings.AutoVersion = false;
            settings.HelpWriter = null;
        });
        return parser.ParseArguments<DeclaredOptions>(arguments);
    }

    // The library has no opinion on scalars that are given twice, once it allows lists to be.
    private static void CheckRepeats(IReadOnlyList<OptionWord> options)
    {
        foreach (IGrouping<string, OptionWord> repeated in options.Distinct().GroupBy(option => option.Name).Where(group => group.Count() > 1))
        {
            if (Declaration(repeated.Key) is { } property && !IsList(property))
            {
                throw new CommandLineException($"{string.Join(" and ", repeated)} contradict each other: give one of them");
            }
        }
    }

    // To say a thing twice is to say it once, but for disks: those are two, though they be alike.
    private static IEnumerable<OptionWord> WithoutRepeats(IReadOnlyList<OptionWord> options) =>
        options.Where((option, i) => (Declaration(option.Name) is { } property && IsList(property)) || !options.Take(i).Contains(option));

    private static bool IsList(PropertyInfo property) => property.PropertyType == typeof(IEnumerable<string>);

    // Nor on --stats=yes, nor on an empty value.
    private static void CheckValues(IReadOnlyList<OptionWord> options)
    {
        foreach (OptionWord option in options)
        {
            if (Declaration(option.Name) is not { } property)
            {
                continue;
            }

            if (property.PropertyType == typeof(bool) && option.Value is not null)
            {
                throw new CommandLineException($"--{option.Name} takes no value: write it without '={option.Value}'");
            }

            if (property.PropertyType != typeof(bool) && string.IsNullOrEmpty(option.Value))
            {
                throw NeedsValue(option.Name);
            }
        }
    }

    private static CommandLineException NeedsValue(string name) =>
        new($"--{name} needs a value: --{name}={Declaration(name)?.GetCustomAttribute<OptionAttribute>()?.MetaValue}");

    // The attribute's data, not the attribute: that would have to be made, and its setters compiled first.
    private static PropertyInfo? Declaration(string name) => typeof(DeclaredOptions).GetProperties()
        .FirstOrDefault(property => property.GetCustomAttributesData().Any(
            attribute => attribute.AttributeType == typeof(OptionAttribute) && attribute.ConstructorArguments[0].Value is string declared && declared == name));

    private static string Explain(Error error) => error switch
    {
        UnknownOptionError unknown => $"there is no option --{unknown.Token}: `lguest --help` lists them",
        NamedError named => $"--{named.NameInfo.LongName} is not given as it should be: `lguest --help` says how",
        _ => "the options are not understood: `lguest --help` lists them",
    };
}
