using System.Diagnostics;

namespace LdlVk.Server.Scoring;

/// <summary>The texts of one request and their results. Members are used only under the queue's lock.</summary>
internal sealed class ScoringRequest
{
    // Continuations run the request's code; they must not run on the scoring thread.
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
            else valid.Add(new QueuedText(this, i, texts[i]));
        }

        Texts = valid;
        _left = valid.Count;
        if (_left == 0) _done.TrySetResult(_results);
    }

    /// <summary>The texts to score.</summary>
    public IReadOnlyList<QueuedText> Texts { get; }

    /// <summary>Timestamp of the request's arrival.</summary>
    public long Since { get; } = Stopwatch.GetTimestamp();

    /// <summary>The request's span; the spans of scoring become its children.</summary>
    public ActivityContext Trace { get; } = Activity.Current?.Context ?? default;

    /// <summary>A result for each text, in their order.</summary>
    public Task<ScoreResult[]> Results => _done.Task;

    public void Add(int index, ScoreResult result)
    {
        _results[index] = result with { Index = index };
        if (--_left == 0) _done.TrySetResult(_results);
    }

    public void Fail(Exception e) => _done.TrySetException(e);

    public void Cancel(CancellationToken cancellationToken) => _done.TrySetCanceled(cancellationToken);
}
