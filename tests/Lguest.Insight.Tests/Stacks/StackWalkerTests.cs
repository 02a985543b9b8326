using Lguest.Insight.Stacks;
using Lguest.Insight.Symbols;
using Lguest.Insight.Tests.Memory;

namespace Lguest.Insight.Tests.Stacks;

public sealed class StackWalkerTests
{
    private const uint Stack = 0xc200_0000;
    private static readonly SymbolTable Symbols = new(
    [
        new Symbol("inner", 0xc010_0000, 0x100, true), new Symbol("middle", 0xc010_0100, 0x100, true), new Symbol("outer", 0xc010_0200, 0x100, true),
    ]);

    private readonly FakeMemory _memory = new();

    [Fact]
    public void Frame_pointers_lead_from_function_to_function()
    {
        Push(0, 0x1234_5678);
        Push(4, Stack + 0x20, 0xc010_0120);
        Push(0x20, 0, 0xc010_0210);

        Assert.Equal(["inner+0x10/0x100", "middle+0x20/0x100", "outer+0x10/0x100"], Walk(0xc010_0010, Stack, Stack + 4));
    }

    [Theory]
    [InlineData(0xc010_0000, "inner+0x0/0x100")]
    [InlineData(0u, "0x00000000")]
    public void Who_called_a_function_that_has_no_frame_yet_is_on_top_of_the_stack(uint eip, string name)
    {
        _memory.Write(0xc010_0120 - 5, [0xe8, 0, 0, 0, 0]);
        Push(0, 0xc010_0120);
        Push(0x20, 0, 0xc010_0210);

        Assert.Equal([name, "middle+0x20/0x100", "outer+0x10/0x100"], Walk(eip, Stack, Stack + 0x20));
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(Stack - 8)]
    [InlineData(Stack + 2)]
    [InlineData(0x0804_8000u)]
    [InlineData(0xffff_fffcu)]
    public void Without_frame_pointers_what_follows_a_call_on_the_stack_may_be_one(uint ebp)
    {
        // One after CALL rel32, one after CALL [ebx+8], and one that no call comes before.
        _memory.Write(0xc010_0120 - 5, [0xe8, 0, 0, 0, 0]);
        _memory.Write(0xc010_0210 - 3, [0xff, 0x53, 0x08]);
        Push(0, 0xc010_0120, 7, 0xc010_0180, 0xc010_0210);

        Assert.Equal(["inner+0x10/0x100", "? middle+0x20/0x100", "? outer+0x10/0x100"], Walk(0xc010_0010, Stack, ebp));
    }

    [Fact]
    public void A_chain_that_goes_in_circles_and_a_stack_that_isnt_there_come_to_an_end()
    {
        Push(0, Stack, 0xc010_0120);

        Assert.InRange(Walk(0xc010_0010, Stack, Stack).Count, 2, 64);
        Assert.Equal(["0x00000000"], Walk(0, 0x1000, 0));
    }

    [Fact]
    public void A_stack_pointer_between_two_words_does_not_lead_beyond_the_stack()
    {
        const uint NextStack = Stack + 0x2000;
        _memory.Write(0xc010_0120 - 5, [0xe8, 0, 0, 0, 0]);
        _memory.Write(0xc010_0210 - 5, [0xe8, 0, 0, 0, 0]);
        Push(4, 0xc010_0210);
        Push(0x1000, 0);
        _memory.Write(NextStack, 0xc010_0120);
        _memory.Write(NextStack + 6, 0xc010_0120);

        Assert.Equal(["inner+0x10/0x100", "? outer+0x10/0x100"], Walk(0xc010_0010, Stack + 2, 0));
    }

    private List<string> Walk(uint eip, uint esp, uint ebp)
    {
        var walker = new StackWalker(_memory, Symbols);
        return [.. walker.Describe(walker.Walk(eip, esp, ebp))];
    }

    private void Push(uint offset, params uint[] words)
    {
        for (uint i = 0; i < words.Length; i++)
        {
            _memory.Write(Stack + offset + (i * 4), words[i]);
        }
    }
}
