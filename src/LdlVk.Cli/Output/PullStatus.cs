using LdlVk.Hub;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Output;

/// <summary>Shows the progress, speed and remaining time of a download on the status line.</summary>
internal sealed class PullStatus(HubRepository repository, StatusLine status) : IProgress<PullProgress>
{
    private readonly TimeLeft _left = new();
    private bool _began;

    /// <inheritdoc/>
    public void Report(PullProgress value)
    {
        if (value.Stage == PullStage.Listing)
        {
            status.Show(() => $"asking {repository.Endpoint.Host} for {value.File}");
            return;
        }

        if (!_began) _left.Begin();
        _began = true;
        if (value.Stage == PullStage.Downloading)
            _left.Done(value.BytesTotal == 0 ? null : Math.Clamp((double)value.BytesDone / value.BytesTotal, 0, 1));
        status.Show(() =>
        {
            string amount = $"{Readable.Bytes(value.BytesDone)} of {Readable.Bytes(value.BytesTotal)}";
            return value.Stage switch
            {
                PullStage.Downloading => $"{amount}, {Readable.Bytes((long)value.BytesPerSecond)}/s{_left}: {value.File}",
                PullStage.Checking => $"checking {amount}: {value.File}",
                _ => $"converting {amount}: {value.File}",
            };
        });
    }
}
