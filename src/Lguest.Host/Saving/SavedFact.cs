namespace Lguest.Host.Saving;

/// <summary>Something about a saved guest that this layer doesn't know, and whoever goes on with it does.</summary>
/// <param name="Name">What it is about.</param>
/// <param name="Value">What it was when the guest was saved.</param>
public sealed record SavedFact(string Name, string Value);
