using System.Reflection;
using System.Text;
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
    public static DeclaredOptions Parse(IReadOnlyList<OptionWord> options) => Place(options) ?? Check(options);

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
        CheckRepeats(options);
        CheckValues(options);
        ParserResult<DeclaredOptions> result = Run(WithoutRepeats(options).SelectMany(Tokens));
        return result.Errors.FirstOrDefault() is { } error ? throw new CommandLineException(Explain(error)) : result.Value;
    }

    /// <summary>Gives options their places as the library would; null when anything isn't as declared, and the library has its say.</summary>
    internal static DeclaredOptions? Place(IReadOnlyList<OptionWord> options)
    {
        var placed = new DeclaredOptions();
        foreach (OptionWord option in options)
        {
            if (Declaration(option.Name) is not { } property || !TryPlace(placed, property, option.Value))
            {
                return null;
            }
        }

        return placed;
    }

    private static bool TryPlace(DeclaredOptions placed, PropertyInfo property, string? value)
    {
        if (property.PropertyType == typeof(bool))
        {
            property.SetValue(placed, true);
            return value is null;
        }

        if (string.IsNullOrEmpty(value))
        {
            return false;
        }

        object? before = property.GetValue(placed);
        if (IsList(property))
        {
            property.SetValue(placed, (string[])[.. (IEnumerable<string>)before!, value]);
            return true;
        }

        property.SetValue(placed, value);
        return before is null || (string)before == value;
    }

    // The library takes --name=value apart with regular expressions, which would be half of its cost: it gets
    // two words where it can't misunderstand them.
    private static string[] Tokens(OptionWord option) => option.Value switch
    {
        { Length: > 0 } value when !value.StartsWith('-') => [$"--{option.Name}", value],
        null when NeedsNoValue(option.Name) => [],
        _ => [option.ToString()],
    };

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

            bool lacksValue = option.Value is null ? !NeedsNoValue(option.Name) : option.Value.Length == 0;
            if (property.PropertyType != typeof(bool) && lacksValue)
            {
                throw NeedsValue(option.Name);
            }
        }
    }

    private static CommandLineException NeedsValue(string name) =>
        new($"--{name} needs a value: --{name}={MetaValue(name)}");

    // The library knows no option that may have a value.
    private static bool NeedsNoValue(string name) => MetaValue(name) is ['[', ..];

    private static string? MetaValue(string name) => Declaration(name)?.GetCustomAttribute<OptionAttribute>()?.MetaValue;

    // An option has the name of its property, in small letters and with dashes. To ask its attribute would be to load the library.
    private static PropertyInfo? Declaration(string name)
    {
        PropertyInfo? property = typeof(DeclaredOptions).GetProperty(
            name.Replace("-", string.Empty, StringComparison.Ordinal), BindingFlags.Public | BindingFlags.Instance | BindingFlags.IgnoreCase);
        return property is not null && NameOf(property) == name ? property : null;
    }

    /// <summary>The option that a property declares.</summary>
    internal static string NameOf(PropertyInfo property)
    {
        var name = new StringBuilder();
        foreach (char letter in property.Name)
        {
            if (char.IsUpper(letter) && name.Length > 0)
            {
                name.Append('-');
            }

            name.Append(char.ToLowerInvariant(letter));
        }

        return name.ToString();
    }

    private static string Explain(Error error) => error switch
    {
        UnknownOptionError unknown => $"there is no option --{unknown.Token}: `lguest --help` lists them",
        NamedError named => $"--{named.NameInfo.LongName} is not given as it should be: `lguest --help` says how",
        _ => "the options are not understood: `lguest --help` lists them",
    };
}
