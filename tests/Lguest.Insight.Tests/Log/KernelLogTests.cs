using Lguest.Insight.Log;
using Lguest.Insight.Symbols;
using Lguest.Insight.Tests.Memory;

namespace Lguest.Insight.Tests.Log;

public sealed class KernelLogTests
{
    public static TheoryData<string> Kinds => ["flat", "records", "records with callers", "ring", "ring of 5.10", "ring with contexts"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_record_has_its_level_its_facility_its_time_and_its_text(string kind)
    {
        var memory = new FakeMemory();
        ILogWriter writer = Make(kind, memory);
        writer.Write(6, 0, 1_234_567_000, "Linux version 6.1");
        writer.Write(0, 0, 2_000_000_000, "Kernel panic - not syncing: \u00e9t\u00e9");
        writer.Write(2, 1, 70_000_000_001_000, "BUG: x");

        List<KernelRecord> records = Read(writer.Log, memory);

        Assert.Equal(["[    1.234567] Linux version 6.1", "[    2.000000] Kernel panic - not syncing: \u00e9t\u00e9", "[70000.000001] BUG: x"], records.Select(r => r.ToString()));
        Assert.Equal([6, 0, 2], records.Select(r => r.Level));
        Assert.Equal([true, true, false], records.Select(r => r.IsOfKernel));
        Assert.Equal([0ul, 1, 2], records.Select(r => r.Sequence));
        Assert.Empty(Read(writer.Log, memory));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_log_is_followed_while_it_wraps_and_what_was_overwritten_is_counted(string kind)
    {
        var memory = new FakeMemory();
        ILogWriter writer = Make(kind, memory);
        var random = new Random(18);
        var written = new List<string>();
        var read = new List<KernelRecord>();
        for (int i = 0; i < 3000; i++)
        {
            // Mostly it keeps up; now and then more comes at once than the log holds.
            int burst = random.Next(20) == 0 ? 60 : random.Next(1, 5);
            for (int j = 0; j < burst; j++)
            {
                string text = $"{written.Count} {new string('x', random.Next(0, 90))}";
                written.Add(text);
                writer.Write(written.Count % 8, 0, (ulong)written.Count * 1000, text);
            }

            ulong before = writer.Log.Lost;
            int known = read.Count;
            writer.Log.Read(memory, read);
            if (burst < 5)
            {
                Assert.Equal(before, writer.Log.Lost);
                Assert.Equal(burst, read.Count - known);
            }
        }

        Assert.True(writer.Log.Lost > 0, "nothing was ever overwritten");
        int[] numbers = [.. read.Select(r => int.Parse(r.Text.Split(' ')[0]))];
        Assert.Equal(numbers.Order(), numbers);
        Assert.Equal(numbers.Distinct(), numbers);
        Assert.All(read.Zip(numbers), pair =>
        {
            Assert.Equal(written[pair.Second], pair.First.Text);
            Assert.Equal((pair.Second + 1) % 8, pair.First.Level);
            Assert.Equal((ulong)(pair.Second + 1) * 1000, pair.First.Nanoseconds);
        });
        if (kind != "flat")
        {
            Assert.Equal((ulong)(written.Count - read.Count), writer.Log.Lost);
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_log_that_is_read_for_the_first_time_late_begins_with_what_is_left(string kind)
    {
        var memory = new FakeMemory();
        ILogWriter writer = Make(kind, memory);
        for (int i = 0; i < 500; i++)
        {
            writer.Write(4, 0, 0, $"line {i}");
        }

        List<KernelRecord> records = Read(writer.Log, memory);

        Assert.InRange(records.Count, 10, 100);
        Assert.Equal(Enumerable.Range(500 - records.Count, records.Count).Select(i => $"line {i}"), records.Select(r => r.Text));
        Assert.True(writer.Log.Lost > 0);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_log_whose_memory_is_nonsense_gives_no_records_and_takes_no_time(string kind)
    {
        for (int seed = 0; seed < 300; seed++)
        {
            var memory = new FakeMemory();
            ILogWriter writer = Make(kind, memory);
            writer.Write(4, 0, 0, "first");
            var random = new Random(seed);
            byte[] noise = new byte[40];
            random.NextBytes(noise);
            if (seed % 2 == 0)
            {
                // Only some of it: pointers stay good, and numbers don't.
                int at = random.Next(10) * 4;
                memory.Write((kind.StartsWith("ring", StringComparison.Ordinal) ? 0xc031_0000 : 0xc030_0000) + (uint)at, noise.AsSpan(0, 4));
            }
            else
            {
                memory.Write(0xc030_0000, noise);
                memory.Write(0xc031_0000, noise);
                memory.Write(0xc032_0000, noise);
            }

            var records = new List<KernelRecord>();
            writer.Log.Read(memory, records);
            writer.Log.Read(memory, records, isEnd: true);
            Assert.InRange(records.Count, 0, 5000);
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_log_that_isnt_there_yet_is_empty(string kind)
    {
        ILogWriter writer = Make(kind, new FakeMemory());

        Assert.Empty(Read(writer.Log, new FakeMemory()));
    }

    [Fact]
    public void A_flat_log_counts_beyond_32_bits()
    {
        var memory = new FakeMemory();
        var writer = new FlatLogWriter(memory, 4096, first: 0xffff_ff00);
        writer.Write(4, 0, 0, "before");
        Read(writer.Log, memory);
        for (int i = 0; i < 30; i++)
        {
            writer.Write(4, 0, 0, $"line {i}");
        }

        Assert.Equal(Enumerable.Range(0, 30).Select(i => $"line {i}"), Read(writer.Log, memory).Select(r => r.Text));
    }

    [Fact]
    public void A_flat_log_may_move_to_a_larger_buffer()
    {
        var memory = new FakeMemory();
        var writer = new FlatLogWriter(memory, 4096);
        writer.Write(4, 0, 0, "shown already");
        writer.Consume();
        writer.Write(4, 0, 0, "read here, but not shown");
        Assert.Equal(2, Read(writer.Log, memory).Count);
        writer.Move(16384);
        writer.Write(4, 0, 0, "new");

        Assert.Equal(["new"], Read(writer.Log, memory).Select(r => r.Text));
        Assert.Equal(0ul, writer.Log.Lost);
    }

    [Fact]
    public void A_flat_line_is_read_when_it_has_ended_or_when_nothing_more_comes()
    {
        var memory = new FakeMemory();
        var writer = new FlatLogWriter(memory, 4096);
        writer.Emit("<3>no time, and ");

        Assert.Empty(Read(writer.Log, memory));
        writer.Emit("an end\n<4>[unfinished");
        Assert.Equal(["no time, and an end"], Read(writer.Log, memory).Select(r => r.Text));
        var last = new List<KernelRecord>();
        writer.Log.Read(memory, last, isEnd: true);
        Assert.Equal(("[unfinished", 4, null), (last[0].Text, last[0].Level, last[0].Nanoseconds));
    }

    [Fact]
    public void Nobody_knows_who_wrote_to_a_flat_log_without_facilities()
    {
        var memory = new FakeMemory();
        var writer = new FlatLogWriter(memory, 4096);
        writer.Emit("<2>BUG: x\n<14>BUG: y\n");

        Assert.Equal([null, 1], Read(writer.Log, memory).Select(r => r.Facility));
    }

    [Fact]
    public void A_record_that_may_still_grow_is_read_when_it_has_ended_or_when_nothing_more_comes()
    {
        var memory = new FakeMemory();
        var writer = new RingLogWriter(memory);
        writer.Initialise();
        Assert.Empty(Read(writer.Log, memory));
        writer.WriteUnfinished("first");
        Assert.Empty(Read(writer.Log, memory));
        writer.Finish();
        writer.Reserve("in its writer's hands");
        writer.Finish();
        writer.Reserve("never ended");
        Assert.Equal(["first", "in its writer's hands"], Read(writer.Log, memory).Select(r => r.Text));
        writer.Write(4, 0, 0, "after it");
        Assert.Empty(Read(writer.Log, memory));

        var last = new List<KernelRecord>();
        writer.Log.Read(memory, last, isEnd: true);

        Assert.Equal(["after it"], last.Select(r => r.Text));
        Assert.Equal(0ul, writer.Log.Lost);
    }

    [Fact]
    public void Records_that_claim_more_text_than_the_ring_has_are_not_all_read()
    {
        const int SizeBits = 10;
        var memory = new FakeMemory();
        var writer = new RingLogWriter(memory, sizeBits: SizeBits);
        writer.Initialise();
        for (int i = 0; i < 20; i++)
        {
            writer.Write(4, 0, 0, "x");
        }

        writer.ClaimAllOfEach();

        Assert.InRange(Read(writer.Log, memory).Sum(record => record.Text.Length), 0, 1 << SizeBits);
    }

    [Fact]
    public void A_ring_may_move()
    {
        var memory = new FakeMemory();
        var writer = new RingLogWriter(memory);
        writer.Initialise();
        writer.Write(4, 0, 0, "old");
        Read(writer.Log, memory);
        writer.Move();
        writer.Write(4, 0, 0, "new");

        Assert.Equal(["new"], Read(writer.Log, memory).Select(r => r.Text));
        Assert.Equal(0ul, writer.Log.Lost);
    }

    [Fact]
    public void Continuations_are_marked_and_a_records_newlines_stay_inside_it()
    {
        var memory = new FakeMemory();
        var writer = new RecordLogWriter(memory, 4096);
        writer.Write(4, 0, 0, "two\nlines", "SUBSYSTEM=x");
        writer.Write(4, 0, 0, "more", string.Empty, flags: 8 | 2);

        List<KernelRecord> records = Read(writer.Log, memory);

        Assert.Equal(["two\nlines", "more"], records.Select(r => r.Text));
        Assert.Equal([false, true], records.Select(r => r.IsContinuation));
    }

    [Fact]
    public void A_kernels_variables_say_which_kind_it_has()
    {
        static SymbolTable Table(params string[] names) => new(names.Select((name, i) => new Symbol(name, 0xc000_0000 + (uint)i, 4, false)));

        Assert.IsType<RingLog>(KernelLogs.Find(Table("prb", "log_buf", "log_buf_len")));
        Assert.IsType<RecordLog>(KernelLogs.Find(Table("log_buf", "log_buf_len", "log_first_seq", "log_first_idx", "log_next_seq", "log_next_idx")));
        Assert.IsType<FlatLog>(KernelLogs.Find(Table("log_buf", "log_buf_len", "log_start", "con_start", "log_end")));
        Assert.Null(KernelLogs.Find(Table("log_buf", "log_buf_len")));
    }

    private static ILogWriter Make(string kind, FakeMemory memory)
    {
        switch (kind)
        {
            case "flat":
                return new FlatLogWriter(memory, 2048);
            case "records":
                return new RecordLogWriter(memory, 2048);
            case "records with callers":
                return new RecordLogWriter(memory, 2048, header: 20);
            default:
                var ring = new RingLogWriter(
                    memory, countBits: 5, sizeBits: 11, hasLastFinalized: kind != "ring of 5.10", stride: kind == "ring with contexts" ? 108u : 88);
                ring.Initialise();
                return ring;
        }
    }

    private static List<KernelRecord> Read(IKernelLog log, FakeMemory memory)
    {
        var records = new List<KernelRecord>();
        log.Read(memory, records);
        return records;
    }
}
