using System.Text;
using Lguest.CommandLine;
using Lguest.Devices.Disks;
using Lguest.Host;
using Lguest.Logging;
using Lguest.Packing;
using Microsoft.Extensions.Logging;

namespace Lguest.Running;

/// <summary>The shares that are copied back at the end of a run, each by way of a disk of the guest's.</summary>
internal sealed class ReturnedShares
{
    /// <summary>The file in which the guest finds the disk and the folder of each.</summary>
    public const string File = "lguest-shares";

    private readonly IReadOnlyList<(ShareOption Share, ScratchDisk Disk)> _shares;

    private ReturnedShares(IReadOnlyList<(ShareOption Share, ScratchDisk Disk)> shares)
    {
        _shares = shares;
    }

    /// <summary>Their disks, the guest's last.</summary>
    public IEnumerable<ScratchDisk> Disks => _shares.Select(share => share.Disk);

    /// <summary>Makes their disks.</summary>
    /// <exception cref="Devices.Backends.BackendException">There is no room for one.</exception>
    public static ReturnedShares Open(Launch launch) =>
        new([.. launch.ReturnedShares.Select(share => (share, new ScratchDisk(share.Folder, share.Returned!.Value)))]);

    /// <summary>What the guest is told of them.</summary>
    /// <param name="launch">What the user wants.</param>
    /// <param name="diskPrefix">What the guest calls disks, before the letter.</param>
    public static byte[] Table(Launch launch, string diskPrefix)
    {
        var table = new StringBuilder();
        char letter = (char)('a' + launch.Disks.Count);
        foreach (ShareOption share in launch.ReturnedShares)
        {
            table.Append($"/dev/{diskPrefix}{letter++} {share.Mount}\n");
        }

        return Encoding.UTF8.GetBytes(table.ToString());
    }

    /// <summary>Copies them back.</summary>
    /// <param name="ending">How the run has ended.</param>
    /// <param name="outcome">From the run.</param>
    /// <param name="logger">Hears what isn't copied.</param>
    /// <returns>How the run has ended, this considered: what a guest that was well has made is lost output if it isn't there.</returns>
    public Ending Take(Ending ending, GuestOutcome outcome, ILogger logger)
    {
        const int MostSentences = 10;
        string[] refused = [.. _shares.SelectMany(share => ReturnedFolder.Take(share.Share.Folder, share.Disk))];
        if (refused.Length == 0)
        {
            return ending;
        }

        bool isLost = outcome is GuestOutcome.PowerOff;
        foreach (string sentence in refused.Skip(isLost ? 1 : 0).Take(MostSentences))
        {
            LaunchLog.Warning(logger, sentence);
        }

        return isLost ? new Ending(ExitCode.OutputLost, refused[0], true) : ending;
    }
}
