using Lguest.Suites.Plans;
using Lguest.Suites.Results;

namespace Lguest.Suites.Running;

/// <summary>Says what a boot has come to, all attempts considered, and whether there is to be another.</summary>
public static class BootJudge
{
    /// <summary>Whether another attempt may make a difference that counts.</summary>
    /// <param name="attempts">Those that there were.</param>
    /// <param name="boot">The boot.</param>
    /// <param name="today">The day, UTC.</param>
    public static bool WantsRetry(IReadOnlyList<AttemptResult> attempts, PlannedBoot boot, DateOnly today)
    {
        AttemptResult last = attempts[^1];
        return attempts.Count <= (boot.Settings.Retries ?? 0)
            && last.Status is BootStatus.Failed or BootStatus.TimedOut
            && !DiffersFromFirst(attempts)
            && !IsKnown(last, boot.Settings, today);
    }

    /// <summary>The result of a boot.</summary>
    /// <param name="boot">The boot.</param>
    /// <param name="attempts">Those that there were; none if it wasn't run.</param>
    /// <param name="allowed">Fingerprints of complaints that came and didn't count.</param>
    /// <param name="today">The day, UTC.</param>
    public static BootResult Judge(PlannedBoot boot, IReadOnlyList<AttemptResult> attempts, IReadOnlyCollection<string> allowed, DateOnly today)
    {
        var result = new BootResult
        {
            Name = boot.Name,
            Test = boot.Test,
            Matrix = [.. boot.Choices.Select(choice => new ChoiceReport(choice.Key, choice.Value))],
            Status = BootStatus.NotRun,
            Attempts = attempts,
        };
        if (attempts.Count == 0)
        {
            return result with { Sentence = "it wasn't run" };
        }

        AttemptResult last = attempts[^1];
        KnownFailure[] known = [.. boot.Settings.Known.Where(each => allowed.Contains(each.Fingerprint) || last.Fingerprints.Contains(each.Fingerprint))];
        result = result with
        {
            Status = last.Status,
            Sentence = last.Sentence,
            Fingerprints = last.Fingerprints,
            Known = [.. known.Where(each => !each.HasExpired(today)).Select(each => new KnownReport(each.Fingerprint, each.Issue, each.Until))],
        };
        if (last.Status == BootStatus.Passed && attempts.Count > 1)
        {
            AttemptResult first = attempts[0];
            return result with
            {
                Status = boot.Settings.IsRepeatable ? BootStatus.SeedDependent : BootStatus.Flaky,
                Sentence = boot.Settings.IsRepeatable
                    ? $"it failed with seed {first.Seed}, and passed with seed {last.Seed}: {first.Sentence}"
                    : $"it failed, and passed at attempt {last.Number}: {first.Sentence}",
                Fingerprints = first.Fingerprints,
            };
        }

        if ((last.Status == BootStatus.Passed && result.Known.Count > 0) || IsKnown(last, boot.Settings, today))
        {
            return result with { Status = BootStatus.Known, Sentence = $"known: {string.Join(", ", result.Known.Select(each => $"{each.Fingerprint} ({each.Issue})"))}" };
        }

        if (known.FirstOrDefault(each => each.HasExpired(today)) is { } expired)
        {
            return result with { Sentence = $"{last.Sentence}; this was known until {expired.Until:yyyy-MM-dd} ({expired.Issue})" };
        }

        return attempts.Count > 1 && DiffersFromFirst(attempts)
            ? result with { Sentence = $"it failed in different ways, and that isn't flaky: {attempts[0].Sentence}; then: {last.Sentence}" }
            : result;
    }

    /// <summary>The result of a boot that went on from a saved guest, once it was run from its start as well: the two have to end alike.</summary>
    /// <param name="result">The boot's, without that.</param>
    /// <param name="warm">Its last attempt from the saved guest.</param>
    /// <param name="cold">The one from the start.</param>
    public static BootResult Check(BootResult result, AttemptResult warm, AttemptResult cold)
    {
        result = result with { Attempts = [.. result.Attempts, cold] };
        bool agree = cold.Status == BootStatus.NotRun
            || (cold.Status == warm.Status && cold.ExitCode == warm.ExitCode && cold.Fingerprints.SequenceEqual(warm.Fingerprints, StringComparer.Ordinal)
                && cold.Tests.OrderBy(test => test.Key, StringComparer.Ordinal).SequenceEqual(warm.Tests.OrderBy(test => test.Key, StringComparer.Ordinal)));
        return agree ? result : result with
        {
            Status = BootStatus.Failed,
            Sentence = $"from a saved guest and from its start it ends in two ways: {Words(warm)}; and {Words(cold)}",
            Fingerprints = [FailureWords.ColdCheck],
        };
    }

    private static string Words(AttemptResult attempt) =>
        attempt.Sentence.Length == 0 ? attempt.Status.ToWord() : $"{attempt.Status.ToWord()}, {attempt.Sentence}";

    private static bool DiffersFromFirst(IReadOnlyList<AttemptResult> attempts) =>
        !attempts[^1].Fingerprints.SequenceEqual(attempts[0].Fingerprints, StringComparer.Ordinal);

    private static bool IsKnown(AttemptResult attempt, BootSettings settings, DateOnly today) =>
        attempt.Status is not (BootStatus.Passed or BootStatus.Error or BootStatus.NotRun)
        && attempt.Fingerprints.Count > 0
        && attempt.Fingerprints.All(print => settings.Known.Any(known => known.Fingerprint == print && !known.HasExpired(today)));
}
