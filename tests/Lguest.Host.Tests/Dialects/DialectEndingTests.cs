using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Dialects.DialectGuest;

namespace Lguest.Host.Tests.Dialects;

/// <summary>The ways in which a kernel of each dialect ends itself.</summary>
public sealed class DialectEndingTests
{
    [Theory]
    [MemberData(nameof(KnownDialects.Names), MemberType = typeof(KnownDialects))]
    public void A_text_says_whether_a_kernel_was_switched_off(string id)
    {
        Assert.Equal(new GuestOutcome.PowerOff(0), End(id, kernel => kernel.Code.PowerOff()));
        Assert.Equal(new GuestOutcome.Panic("Attempted to kill init!"), End(id, kernel => Say(kernel, "Attempted to kill init!", 1)));
        Assert.Equal(new GuestOutcome.Panic("Power down!"), End(id, kernel => Say(kernel, "Power down!", 1)));
    }

    [Theory]
    [MemberData(nameof(KnownDialects.Names), MemberType = typeof(KnownDialects))]
    public void A_restart_is_a_call_from_2_6_25_on_and_the_reset_line_always(string id)
    {
        GuestOutcome expected = KnownDialects.Named(id).ShutdownSaysRestart ? new GuestOutcome.Restart() : new GuestOutcome.PowerOff(0);
        Assert.Equal(expected, End(id, kernel => kernel.Code.Call(HypercallNumber.Shutdown, Strings, 2)));
        Assert.Equal(new GuestOutcome.Restart(), End(id, kernel =>
        {
            kernel.Code.A.mov(al, 0xfe);
            kernel.Code.A.@out(0x64, al);
            kernel.Code.PowerOff();
        }));
    }

    private static GuestOutcome End(string id, Action<DialectKernel> program)
    {
        Dialect dialect = KnownDialects.Named(id);
        using var guest = new DialectGuest(dialect, []);
        var kernel = new DialectKernel(dialect, guest);
        program(kernel);
        return kernel.Run();
    }

    private static void Say(DialectKernel kernel, string text, uint how)
    {
        const uint Text = Strings + 0x100;
        kernel.Guest.WriteText(Text, text);
        kernel.Code.Call(HypercallNumber.Shutdown, Text, how);
    }
}
