namespace Lguest.Host.Dma;

/// <summary>
/// Messages between guests that share some memory. Keys are offsets in that memory. A guest opens an inbox for each key
/// that it receives on, and offers its free buffers there. Other guests fill them. No guest's own memory is touched here.
/// </summary>
/// <remarks>All methods are for the processor's thread, and only <see cref="Send"/> ever waits.</remarks>
public interface IPeerExchange
{
    /// <summary>The most offers that an inbox has at a time. Every method's <c>offer</c> is below it.</summary>
    const int MostOffers = 16;

    /// <summary>The most bytes of a message: each piece of a list lies within a page.</summary>
    const int LongestMessage = DmaList.Sections * 4096;

    /// <summary>Brings a message to the first other guest that receives on a key.</summary>
    /// <param name="offset">The key.</param>
    /// <param name="message">What is sent.</param>
    /// <returns>Bytes that the other guest's buffer took: 0 when it has none free, even a little later, or nobody receives there.</returns>
    int Send(int offset, DmaList message);

    /// <summary>As the other, with a message that isn't in guest memory.</summary>
    int Send(int offset, ReadOnlySpan<byte> message);

    /// <summary>The size in bytes of the buffers on a key, those of the first other guest that receives there. Not known, and 0, until something was sent to it.</summary>
    int Capacity(int offset);

    /// <summary>Opens an inbox for a key.</summary>
    /// <returns>Its number, or -1 when it can't be had: nobody will find this guest on that key.</returns>
    int Open(int offset);

    /// <summary>Closes an inbox. What was offered there isn't any more, and what is in it is lost.</summary>
    void Close(int inbox);

    /// <summary>Offers a buffer. Buffers are filled in the order in which they were offered.</summary>
    /// <param name="inbox">Its inbox.</param>
    /// <param name="capacity">Bytes that it has room for, 0 to <see cref="LongestMessage"/>.</param>
    /// <returns>The offer's number, or -1 when the inbox has all the offers that it can have.</returns>
    int Offer(int inbox, int capacity);

    /// <summary>Takes an offer back, even if it was filled meanwhile.</summary>
    void Withdraw(int inbox, int offer);

    /// <summary>Looks for an offer that has come to its end, filled or not; it is an offer until <see cref="Release"/>.</summary>
    /// <param name="inbox">The inbox.</param>
    /// <param name="offer">Which it is.</param>
    /// <param name="message">Its contents, good until <see cref="Release"/>. The sender may still change the bytes.</param>
    /// <param name="isLost">Whether somebody began to fill it and never finished: there is no message.</param>
    /// <returns>False when there is none.</returns>
    bool TryTake(int inbox, out int offer, out ReadOnlySpan<byte> message, out bool isLost);

    /// <summary>Ends an offer that <see cref="TryTake"/> has shown.</summary>
    void Release(int inbox, int offer);

    /// <summary>Whether somebody has found no offer in an inbox since this was last asked.</summary>
    bool TakeRequest(int inbox);

    /// <summary>
    /// Says that this guest has looked into all its inboxes. From now on, a guest that fills one wakes it.
    /// </summary>
    /// <returns>False when something has come meanwhile: look again.</returns>
    bool Rest();
}
