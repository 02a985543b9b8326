using System.Security.Cryptography;
using Lguest.Running;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>What a process that runs one guest after another knows of files.</summary>
public sealed class KnownFilesTests : IDisposable
{
    /// <summary>What was changed just now could be changed once more at the same time.</summary>
    private static readonly TimeSpan UntilOld = TimeSpan.FromSeconds(4);

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_link_that_is_switched_all_the_while_mixes_nothing_up()
    {
        const int Times = 2000;
        string[] files = [_folder.File("a", [1]), _folder.File("b", [2])];
        string[] hashes = [.. files.Select(file => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file))))];
        string link = _folder.Path("link");
        Switch(0);
        Thread.Sleep(UntilOld);
        bool isOver = false;
        Task switcher = Task.Run(() =>
        {
            for (int i = 1; !Volatile.Read(ref isOver); i++)
            {
                Switch(i % 2);
            }
        }, TestContext.Current.CancellationToken);

        try
        {
            for (int i = 0; i < Times; i++)
            {
                var known = new KnownFiles();

                Assert.Contains(known.Hash(link), hashes);
                Assert.Equal(hashes, files.Select(known.Hash));
            }
        }
        finally
        {
            Volatile.Write(ref isOver, true);
            await switcher;
        }

        void Switch(int to)
        {
            string other = _folder.Path("other");
            File.CreateSymbolicLink(other, files[to]);
            File.Move(other, link, overwrite: true);
        }
    }
}
