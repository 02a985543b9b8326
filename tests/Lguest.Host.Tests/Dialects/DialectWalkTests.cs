namespace Lguest.Host.Tests.Dialects;

/// <summary>For each dialect a kernel that does all that kernels of it do.</summary>
public sealed class DialectWalkTests
{
    public static MatrixTheoryData<string, EngineKind> Cases =>
        new([.. KnownDialects.All.Select(each => each.Id)], [EngineKind.Interpreter, EngineKind.Translator]);

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_kernel_uses_the_whole_of_its_dialect(string id, EngineKind engine)
    {
        Dialect dialect = KnownDialects.Named(id);
        using var devices = new WalkDevices();
        using var guest = new DialectGuest(dialect, devices.Of(dialect), engine);
        var kernel = new DialectKernel(dialect, guest);
        IDeviceWalk ofDevices = devices.WalkOf(kernel);
        new KernelWalk(kernel).Walk();
        ofDevices.Walk();
        kernel.Code.PowerOff();

        kernel.RunAndVerify(new GuestOutcome.PowerOff(0));

        ofDevices.Verify();
    }
}
