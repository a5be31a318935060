namespace LdlVk;

/// <summary>How far loading is.</summary>
/// <param name="BytesDone">Bytes uploaded in the device's formats.</param>
/// <param name="BytesTotal">Bytes there are in all.</param>
public readonly record struct LoadProgress(long BytesDone, long BytesTotal);
