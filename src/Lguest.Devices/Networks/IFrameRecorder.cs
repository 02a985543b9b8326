namespace Lguest.Devices.Networks;

/// <summary>Sees all frames of one network, from the guest's side of the cable.</summary>
public interface IFrameRecorder
{
    /// <summary>Records a frame. It may not fail, and is called on the processor's thread.</summary>
    /// <param name="sent">Whether the guest sent it, rather than got it.</param>
    /// <param name="frame">The frame; good until this returns.</param>
    void Record(bool sent, ReadOnlySpan<byte> frame);
}
