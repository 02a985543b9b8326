using System.Text;

namespace Lguest.CommandLine;

/// <summary>Scripts with which a shell completes lguest's command lines, made from the table of options.</summary>
internal static class Completion
{
    private static readonly string[] Files = ["FILE", "KERNEL", "FILE[,ro|,snapshot]", "FILE[,PERCENT%]", "FILE|DIR", "PORT|SOCKET"];
    private static readonly string[] Folders = ["DIR", "DIR[:MOUNT]"];

    /// <summary>The script for a shell.</summary>
    /// <param name="shell">bash, zsh or fish.</param>
    /// <exception cref="CommandLineException">It is another.</exception>
    public static string Script(string shell) => shell switch
    {
        "bash" => Bash(),
        "zsh" => Zsh(),
        "fish" => Fish(),
        _ => throw new CommandLineException($"--{Options.CompletionScript.Name}={shell}: write bash, zsh or fish"),
    };

    /// <summary>What a first word may be that names a command: `suite run` is one of those that begin with `suite`.</summary>
    private static IEnumerable<string> FirstWords => Options.Named.Select(FirstWord).Distinct(StringComparer.Ordinal);

    /// <summary>
    /// In bash, a word ends at a <c>=</c>: an option's value is a word of its own, and the option is two words before it. What stands before
    /// lguest's first word that isn't an option decides whose options there are.
    /// </summary>
    private static string Bash()
    {
        var script = new StringBuilder(
            """
            # Completion of lguest for bash: eval "$(lguest --completion=bash)"
            _lguest() {
                local cur=${COMP_WORDS[COMP_CWORD]} option= command= word
                if [[ $cur == = ]]; then
                    option=${COMP_WORDS[COMP_CWORD-1]} cur=
                elif [[ ${COMP_WORDS[COMP_CWORD-1]} == = ]]; then
                    option=${COMP_WORDS[COMP_CWORD-2]}
                fi
                for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
                    [[ $word == -* || $word == = ]] && continue
                    command=$word
                    break
                done
                COMPREPLY=()
                compopt +o nospace 2>/dev/null
                if [[ -n $option ]]; then
                    case $option in

            """.ReplaceLineEndings("\n"));
        foreach ((string kind, IEnumerable<string> names) in ByKind())
        {
            script.Append($"            {string.Join('|', names)}) COMPREPLY=($({(kind is "f" or "d" ? $"compgen -{kind}" : $"compgen -W '{kind}'")} -- \"$cur\")) ;;\n");
        }

        script.Append(
            """
                    esac
                    return
                fi
                if [[ $cur == -* ]]; then
                    case $command in

            """.ReplaceLineEndings("\n"));
        foreach (string word in FirstWords)
        {
            script.Append($"            {word}) COMPREPLY=($(compgen -W '{string.Join(' ', Words(word))}' -- \"$cur\")) ;;\n");
        }

        script.Append($"            *) COMPREPLY=($(compgen -W '{string.Join(' ', Words(null))}' -- \"$cur\")) ;;\n");
        script.Append(
            $"""
                    esac
                    [[ ${"{COMPREPLY[0]}"} == *= ]] && compopt -o nospace 2>/dev/null
                    return
                fi
                COMPREPLY=($(compgen -f -- "$cur"))
                [[ -z $command ]] && COMPREPLY+=($(compgen -W '{string.Join(' ', FirstWords)}' -- "$cur"))
            {"}"}
            complete -o filenames -F _lguest lguest

            """.ReplaceLineEndings("\n"));
        return script.ToString();
    }

    private static string Zsh()
    {
        var script = new StringBuilder("#compdef lguest\n# Completion of lguest for zsh: lguest --completion=zsh > a folder of $fpath, as _lguest\n_lguest() {\n");
        script.Append("    local -a options\n    case ${words[(r)(").AppendJoin('|', FirstWords).Append(")]} in\n");
        foreach (string word in FirstWords)
        {
            AppendZsh(script, word, word, "'1:command:' '*:file:_files'");
        }

        AppendZsh(script, "*", null, $"'1:memory:({string.Join(' ', ["64m", "256m", "1g", .. FirstWords])})' '2:kernel:_files' '*:word for the kernel:_files'");
        return script.Append("    esac\n    _arguments $options\n}\n_lguest \"$@\"\n").ToString();
    }

    private static void AppendZsh(StringBuilder script, string pattern, string? first, string words)
    {
        script.Append($"    {pattern})\n        options=(\n");
        foreach (Option option in For(first))
        {
            string repeat = option.Repeat == OptionRepeat.Once ? string.Empty : "*";
            string help = Quote(Brief(option).Replace("[", "\\[", StringComparison.Ordinal).Replace("]", "\\]", StringComparison.Ordinal).Replace(":", "\\:", StringComparison.Ordinal));
            string value = option.Value switch
            {
                OptionValue.None => string.Empty,
                OptionValue.Optional => $"=-[{help}]::value:{Action(option)}",
                _ => $"=-[{help}]:value:{Action(option)}",
            };
            script.Append(option.Value == OptionValue.None ? $"            '{repeat}--{option.Name}[{help}]'\n" : $"            '{repeat}--{option.Name}{value}'\n");
        }

        script.Append($"            {words}\n        ) ;;\n");

        static string Action(Option option) => Kind(option) switch
        {
            "f" => "_files",
            "d" => "_files -/",
            "" => " ",
            var choices => $"({choices})",
        };
    }

    private static string Fish()
    {
        var script = new StringBuilder("# Completion of lguest for fish: lguest --completion=fish > ~/.config/fish/completions/lguest.fish\n");
        string named = string.Join(' ', FirstWords);
        script.Append($"complete -c lguest -n __fish_use_subcommand -a '{named}'\n");
        foreach (string? first in (string?[])[null, .. FirstWords])
        {
            string condition = first is null ? $"not __fish_seen_subcommand_from {named}" : $"__fish_seen_subcommand_from {first}";
            foreach (Option option in For(first))
            {
                string value = (option.Value, Kind(option)) switch
                {
                    (OptionValue.None, _) => string.Empty,
                    (OptionValue.Optional, _) => string.Empty,
                    (_, "f") => " -r -F",
                    (_, "d") => " -x -a '(__fish_complete_directories)'",
                    (_, "") => " -x",
                    (_, var choices) => $" -x -a '{choices}'",
                };
                script.Append($"complete -c lguest -n '{condition}' -l {option.Name}{value} -d '{FishQuote(Brief(option))}'\n");
            }
        }

        return script.ToString();
    }

    private static string FirstWord(Command command) => command.Name!.Split(' ')[0];

    /// <summary>The options of the commands that begin with a word; of a guest's run, without one.</summary>
    private static IEnumerable<Option> For(string? first) => first is null
        ? Options.Table.Declared.Where(option => option.IsFor(Options.Run))
        : Options.Table.Declared.Where(option => Options.Named.Any(command => FirstWord(command) == first && option.IsFor(command)));

    private static IEnumerable<string> Words(string? first) =>
        For(first).Select(option => $"--{option.Name}{(option.Value is OptionValue.Required or OptionValue.MayBeEmpty ? "=" : string.Empty)}");

    /// <summary>Options by what completes their values. Names that two commands have are taken once: their values are no different.</summary>
    private static IEnumerable<(string Kind, IEnumerable<string> Names)> ByKind() => Options.Table.Declared
        .Where(option => option.Value != OptionValue.None && Kind(option).Length > 0)
        .DistinctBy(option => option.Name)
        .GroupBy(Kind, StringComparer.Ordinal)
        .Select(group => (group.Key, group.Select(option => $"--{option.Name}")));

    /// <summary>f for a file, d for a folder, words with spaces between them, or nothing.</summary>
    private static string Kind(Option option)
    {
        string form = option.Form ?? string.Empty;
        if (Files.Contains(form))
        {
            return "f";
        }

        if (Folders.Contains(form))
        {
            return "d";
        }

        return form.Contains('|', StringComparison.Ordinal) && form.All(letter => char.IsAsciiLetterLower(letter) || letter == '|')
            ? form.Replace('|', ' ')
            : string.Empty;
    }

    /// <summary>The first sentence of the help.</summary>
    private static string Brief(Option option)
    {
        int end = option.Help.IndexOfAny(['.', ':', ';']);
        return end < 0 ? option.Help : option.Help[..end];
    }

    private static string Quote(string text) => text.Replace("'", "'\\''", StringComparison.Ordinal);

    private static string FishQuote(string text) => text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal);
}
