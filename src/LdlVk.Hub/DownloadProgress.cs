namespace LdlVk.Hub;

/// <summary>Counts the bytes of all files of a pull, and reports them.</summary>
internal sealed class DownloadProgress(IProgress<PullProgress>? progress, long total)
{
    private readonly long _began = TimeProvider.System.GetTimestamp();
    private long _there;

    /// <summary>Bytes that came from the hub.</summary>
    public long New { get; private set; }

    /// <summary>Adds bytes of a file that are there now; negative if they no longer count.</summary>
    public void Add(string file, long bytes, bool isNew)
    {
        _there += bytes;
        if (isNew) New += bytes;
        double seconds = Math.Max(1e-3, TimeProvider.System.GetElapsedTime(_began).TotalSeconds);
        progress?.Report(new PullProgress(isNew ? PullStage.Downloading : PullStage.Checking, file, _there, total, New / seconds));
    }
}
