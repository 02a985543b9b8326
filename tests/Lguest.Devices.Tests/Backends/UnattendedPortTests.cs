using System.Text;
using Lguest.Devices.Backends;

namespace Lguest.Devices.Tests.Backends;

public sealed class UnattendedPortTests
{
    private const int Capacity = 8;

    [Fact]
    public void There_is_no_input_and_there_never_will_be()
    {
        using var port = new UnattendedPort(Capacity);

        Assert.True(port.EndOfInput);
        Assert.Equal(0, port.Read(new byte[1]) + port.ReadBlocking(new byte[1]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2 * Capacity)]
    [InlineData((2 * Capacity) + 1)]
    [InlineData(1000)]
    public void The_last_of_the_output_is_kept_however_it_comes(int length)
    {
        byte[] output = [.. Enumerable.Range(0, length).Select(i => (byte)i)];
        foreach (int piece in (int[])[1, 3, Capacity, 100, 1000])
        {
            using var port = new UnattendedPort(Capacity);
            foreach (byte[] part in output.Chunk(piece))
            {
                port.Write(part);
            }

            byte[] kept = port.Kept.ToArray();
            Assert.InRange(kept.Length, Math.Min(length, Capacity), 2 * Capacity);
            Assert.Equal(output[^kept.Length..], kept);
        }
    }

    [Fact]
    public void What_is_logged_is_in_the_file_at_once_and_goes_on_to_the_console()
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, "old and longer");
            using var console = new UnattendedPort(Capacity);
            using var port = LoggedPort.Open(console, path, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);

            port.Write("new"u8);

            Assert.Equal("new", File.ReadAllText(path));
            Assert.Equal("new", Encoding.ASCII.GetString(console.Kept));
            Assert.True(port.EndOfInput);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
