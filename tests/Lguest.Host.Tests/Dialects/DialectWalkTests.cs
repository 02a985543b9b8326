namespace Lguest.Host.Tests.Dialects;

/// <summary>For each dialect a kernel that does all that kernels of it do.</summary>
public sealed class DialectWalkTests
{
    [Theory]
    [MemberData(nameof(KnownDialects.Names), MemberType = typeof(KnownDialects))]
    public void A_kernel_uses_the_whole_of_its_dialect(string id)
    {
        Dialect dialect = KnownDialects.Named(id);
        var devices = DeviceWalk.Devices.Make();
        using var guest = new DialectGuest(dialect, dialect.Devices == DeviceKind.Dma ? [] : devices.Of(dialect));
        var kernel = new DialectKernel(dialect, guest);
        var walk = new DeviceWalk(kernel, devices);
        new KernelWalk(kernel).Walk();
        if (dialect.Devices != DeviceKind.Dma)
        {
            walk.Walk();
        }

        kernel.Code.PowerOff();

        kernel.RunAndVerify(new GuestOutcome.PowerOff(0));

        if (dialect.Devices != DeviceKind.Dma)
        {
            walk.Verify();
        }
    }
}
