using System.Diagnostics;

namespace LdlVk.Server.Scoring;

/// <summary>The texts of one request, and their results as they come. Its members are used under the queue's lock.</summary>
internal sealed class ScoringRequest
{
    // The continuations are the request's own: they must not run on the thread that scores.
    private readonly TaskCompletionSource<ScoreResult[]> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ScoreResult[] _results;
    private int _left;

    public ScoringRequest(IReadOnlyList<TokenizedText> texts)
    {
        _results = new ScoreResult[texts.Count];
        List<QueuedText> valid = new(texts.Count);
        for (int i = 0; i < texts.Count; i++)
        {
            if (texts[i].Error is { } error) _results[i] = new ScoreResult(i, null, error);
            else valid.Add(new QueuedText(this, i, texts[i].Ids));
        }

        Texts = valid;
        _left = valid.Count;
        if (_left == 0) _done.TrySetResult(_results);
    }

    /// <summary>The texts to be scored.</summary>
    public IReadOnlyList<QueuedText> Texts { get; }

    /// <summary>When it came.</summary>
    public long Since { get; } = Stopwatch.GetTimestamp();

    /// <summary>The caller's span, so that those of scoring are its children.</summary>
    public ActivityContext Trace { get; } = Activity.Current?.Context ?? default;

    /// <summary>A result for each text, in their order.</summary>
    public Task<ScoreResult[]> Results => _done.Task;

    public void Add(int index, ScoreResult result)
    {
        _results[index] = result with { Index = index };
        if (--_left == 0) _done.TrySetResult(_results);
    }

    public void Fail(Exception e) => _done.TrySetException(e);

    public void Cancel(CancellationToken cancellation) => _done.TrySetCanceled(cancellation);
}
