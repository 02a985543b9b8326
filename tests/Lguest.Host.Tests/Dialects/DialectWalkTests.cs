namespace Lguest.Host.Tests.Dialects;

/// <summary>For each dialect a kernel that does all that kernels of it do.</summary>
public sealed class DialectWalkTests
{
    [Theory]
    [MemberData(nameof(KnownDialects.Names), MemberType = typeof(KnownDialects))]
    public void A_kernel_uses_the_whole_of_its_dialect(string id)
    {
        Dialect dialect = KnownDialects.Named(id);
        using var devices = new WalkDevices();
        using var guest = new DialectGuest(dialect, devices.Of(dialect));
        var kernel = new DialectKernel(dialect, guest);
        IDeviceWalk ofDevices = devices.WalkOf(kernel);
        new KernelWalk(kernel).Walk();
        ofDevices.Walk();
        kernel.Code.PowerOff();

        kernel.RunAndVerify(new GuestOutcome.PowerOff(0));

        ofDevices.Verify();
    }
}
