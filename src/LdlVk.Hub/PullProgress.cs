namespace LdlVk.Hub;

/// <summary>What a pull is doing.</summary>
public enum PullStage
{
    /// <summary>The hub is asked for the list of files.</summary>
    Listing,

    /// <summary>Bytes on the disk are checked.</summary>
    Checking,

    /// <summary>Bytes come from the hub.</summary>
    Downloading,

    /// <summary>Weights are converted.</summary>
    Converting,
}

/// <summary>How far a pull is.</summary>
/// <param name="Stage">What it is doing.</param>
/// <param name="File">The file at hand; in <see cref="PullStage.Listing"/> the repository.</param>
/// <param name="BytesDone">Bytes of all files that are there, or that are converted.</param>
/// <param name="BytesTotal">Bytes of all files; 0 while that is not known.</param>
/// <param name="BytesPerSecond">Speed of the download so far.</param>
public readonly record struct PullProgress(PullStage Stage, string File, long BytesDone, long BytesTotal, double BytesPerSecond);
