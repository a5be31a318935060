using System.Diagnostics;
using LdlVk.Server.Http;
using LdlVk.Server.Telemetry;
using Microsoft.Extensions.Logging;

namespace LdlVk.Server.Scoring;

/// <summary>Scores texts in one batch and returns a result for each.</summary>
internal delegate ScoreResult[] ScoreTexts(IReadOnlyList<TokenizedText> texts, CancellationToken cancellationToken);

/// <summary>
/// The queue of the texts of all requests, and the threads that score them in batches. A batch is formed as late as possible: when a
/// device would be idle, or when the waiting texts fill a micro-batch, which is then ready for the next free device. Texts accumulate
/// while the devices are busy. An idle device waits for more texts only if the wait is short compared with the time of scoring. Texts of
/// different requests can share a batch because a text's score does not depend, in any bit, on the other texts. Thread-safe.
/// </summary>
internal sealed class ScoringQueue : IDisposable
{
    /// <summary>
    /// Number of preceding texts of a batch that a new text is compared with, to count a shared prefix once. The responses to a prompt are
    /// neighbors in the queue.
    /// </summary>
    private const int Neighbors = 16;

    /// <summary>
    /// Maximum wait of an idle device for more texts, as a fraction of the time that the waiting texts take. If requests have one short
    /// text each, a longer wait would cost more than larger batches gain.
    /// </summary>
    private const double Patience = 0.05;

    /// <summary>
    /// A batch stops growing once its fixed cost is below this fraction of its time. A larger batch would delay both its own texts, whose
    /// results come at its end, and the texts that arrive meanwhile.
    /// </summary>
    private const double FixedCost = 0.05;

    /// <summary>
    /// A batch takes at least this fraction of the waiting tokens: behind a long queue, the time of one batch matters less.
    /// </summary>
    private const double Share = 0.25;

    /// <summary>Maximum time from a trial of a failed device to the next.</summary>
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    private readonly ScoreTexts _score;
    private readonly ServerOptions _options;
    private readonly ServerMetrics _metrics;
    private readonly ILogger _log;
    private readonly int _budget, _devices;
    private readonly object _lock = new();
    private readonly LinkedList<QueuedText> _waiting = new();
    private readonly Throughput _throughput = new();
    private readonly Thread[] _threads;
    private long _waitingTokens;
    private int _busy, _failures;
    private long _failedAt;
    private TokenizedText? _failed;
    private bool _ended;

    /// <param name="score">Scores a batch, like <see cref="RewardModel.ScoreTogether"/>.</param>
    /// <param name="plan">The plan of the model: size of a batch, and number of devices.</param>
    /// <param name="options">The limits.</param>
    /// <param name="metrics">Receives the measurements.</param>
    public ScoringQueue(ScoreTexts score, ExecutionPlan plan, ServerOptions options, ServerMetrics metrics)
    {
        (_score, _options, _metrics) = (score, options, metrics);
        _log = options.LoggerFactory.CreateLogger<ScoringQueue>();
        _budget = plan.Streams ? plan.WaveTokens : plan.BatchTokens;
        _devices = plan.Stages.Count;
        // One batch for each device, and one that is ready for the next free device.
        _threads = [.. Enumerable.Range(0, _devices + 1).Select(i => new Thread(Work) { IsBackground = true, Name = $"scoring {i}" })];
        foreach (Thread thread in _threads) thread.Start();
    }

    /// <summary>Number of texts and of tokens in the queue.</summary>
    public (int Texts, long Tokens) Waiting
    {
        get
        {
            lock (_lock) return (_waiting.Count, _waitingTokens);
        }
    }

    /// <summary>The reason why the last batch failed; null if it succeeded.</summary>
    public string? Failure { get; private set; }

    /// <summary>Scores the texts of a request. A text with an error keeps its error.</summary>
    /// <param name="texts">Checked texts, see <see cref="RewardModel.Check"/>.</param>
    /// <param name="cancellationToken">Removes the texts from the queue.</param>
    /// <returns>A result for each text, in their order.</returns>
    /// <exception cref="RequestException">The queue is full.</exception>
    /// <exception cref="DeviceException">The device failed.</exception>
    public async Task<ScoreResult[]> ScoreAsync(IReadOnlyList<TokenizedText> texts, CancellationToken cancellationToken)
    {
        ScoringRequest request = new(texts);
        if (request.Texts.Count == 0) return await request.Results.ConfigureAwait(false);
        Enqueue(request);
        using CancellationTokenRegistration registration = cancellationToken.Register(() => Abandon(request, cancellationToken));
        return await request.Results.ConfigureAwait(false);
    }

    /// <summary>Throws if the queue is full, so that a request can be refused before its body is read.</summary>
    public void CheckRoom()
    {
        lock (_lock)
            if (_waiting.Count >= _options.MaxQueue) throw Full();
    }

    /// <summary>Cancels the waiting requests, and ends the threads after the batches in progress.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _ended = true;
            foreach (QueuedText text in _waiting) text.Request.Cancel(new CancellationToken(true));
            _waiting.Clear();
            _waitingTokens = 0;
            Monitor.PulseAll(_lock);
        }

        foreach (Thread thread in _threads) thread.Join();
    }

    private void Enqueue(ScoringRequest request)
    {
        long tokens = request.Texts.Sum(t => (long)t.Ids.Length);
        if (tokens > _options.MaxQueueTokens)
            throw new RequestException(
                413,
                $"The texts have {tokens} tokens in total; at most {_options.MaxQueueTokens} are accepted. "
                + $"Send fewer texts in a request.");
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_ended, this);
            // An empty queue accepts a request with more texts than the queue has places.
            bool fits = _waiting.Count + request.Texts.Count <= _options.MaxQueue && _waitingTokens + tokens <= _options.MaxQueueTokens;
            if (!fits && _waiting.Count > 0) throw Full();
            Add(request, tokens);
        }
    }

    private void Add(ScoringRequest request, long tokens)
    {
        foreach (QueuedText text in request.Texts) text.Place = _waiting.AddLast(text);
        _waitingTokens += tokens;
        Monitor.PulseAll(_lock);
    }

    private RequestException Full() =>
        new(429, $"The queue is full: {_waiting.Count} texts are waiting. Try again after the time of Retry-After.")
        {
            RetryAfter = _throughput.RetryAfter(_waitingTokens),
        };

    /// <summary>Ends a request whose client has disconnected.</summary>
    private void Abandon(ScoringRequest request, CancellationToken cancellationToken)
    {
        List<ScoringBatch> unwanted = [];
        lock (_lock)
        {
            if (request.Results.IsCompleted) return;
            request.Cancel(cancellationToken);
            Forget(request, unwanted);
        }

        _metrics.TextsAbandoned(request.Texts.Count);
        // Outside the lock, because Cancel runs the continuations of the token.
        foreach (ScoringBatch batch in unwanted) batch.Abandoned.Cancel();
    }

    /// <summary>Removes a request's texts from the queue, and collects the batches that no client waits for any more.</summary>
    private void Forget(ScoringRequest request, List<ScoringBatch> unwanted)
    {
        foreach (QueuedText text in request.Texts)
        {
            if (text.Place is { } place)
            {
                _waiting.Remove(place);
                text.Place = null;
                _waitingTokens -= text.Ids.Length;
            }
            else if (text.Batch is { } batch && --batch.Wanted == 0)
            {
                unwanted.Add(batch);
            }
        }
    }

    private void Work()
    {
        while (Take() is { } batch)
        {
            Score(batch);
            lock (_lock)
            {
                _busy--;
                Monitor.PulseAll(_lock);
            }
        }
    }

    /// <summary>Waits for the next batch; returns null after <see cref="Dispose"/>.</summary>
    private ScoringBatch? Take()
    {
        lock (_lock)
        {
            while (!_ended)
            {
                int wait = Timeout.Infinite;
                if (_waiting.First?.Value is { } oldest && (_waitingTokens >= _budget || _busy < _devices))
                {
                    wait = _waitingTokens >= _budget
                        ? 0
                        : (int)(WaitForMore() - Stopwatch.GetElapsedTime(oldest.Request.Since)).TotalMilliseconds;
                    // Monitor.Wait takes whole milliseconds.
                    if (wait <= 0) return Form();
                }
                else if (_failed is { } failed && _busy == 0 && _waiting.Count == 0)
                {
                    wait = (int)Math.Ceiling((PauseBeforeTrial() - Stopwatch.GetElapsedTime(_failedAt)).TotalMilliseconds);
                    if (wait <= 0)
                    {
                        Add(new ScoringRequest([failed]), failed.Ids.Length);
                        continue;
                    }
                }

                Monitor.Wait(_lock, wait);
            }

            return null;
        }
    }

    private TimeSpan PauseBeforeTrial()
    {
        TimeSpan pause = _options.TrialAfter * Math.Pow(2, Math.Min(_failures - 1, 20));
        return pause < LongestPause ? pause : LongestPause;
    }

    /// <summary>How long an idle device waits for more texts; zero if the waiting texts are enough for a batch.</summary>
    private TimeSpan WaitForMore()
    {
        if (_waitingTokens >= _throughput.RowsWhereFixedCostIs(FixedCost)) return TimeSpan.Zero;
        TimeSpan worthwhile = Patience * _throughput.TimeFor(_waitingTokens);
        return worthwhile < _options.MaxWait ? worthwhile : _options.MaxWait;
    }

    /// <summary>
    /// Forms a batch from the front of the queue: enough texts to amortize the fixed cost, but at most a micro-batch. A text that shares
    /// at least half of its tokens with a preceding text stays in its batch.
    /// </summary>
    private ScoringBatch Form()
    {
        double enough = Math.Max(_throughput.RowsWhereFixedCostIs(FixedCost), Share * _waitingTokens);
        List<QueuedText> texts = [];
        long rows = 0;
        while (_waiting.First is { } place && texts.Count < _budget)
        {
            QueuedText text = place.Value;
            int shared = 0;
            for (int i = Math.Max(0, texts.Count - Neighbors); i < texts.Count; i++)
                shared = Math.Max(shared, text.Ids.AsSpan().CommonPrefixLength(texts[i].Ids));
            long together = rows + text.Ids.Length - shared;
            if (texts.Count > 0 && (together > _budget || (together > enough && shared < text.Ids.Length / 2))) break;
            rows = together;
            _waiting.RemoveFirst();
            text.Place = null;
            _waitingTokens -= text.Ids.Length;
            texts.Add(text);
        }

        ScoringBatch batch = new(texts, rows);
        foreach (QueuedText text in texts) text.Batch = batch;
        _busy++;
        return batch;
    }

    /// <summary>Scores a batch and hands the results to its requests. A batch that completes updates the throughput estimate.</summary>
    private void Score(ScoringBatch batch)
    {
        long begun = Stopwatch.GetTimestamp(), clock = _options.Clock.GetTimestamp();
        using Activity? span = Tracing.Source.StartActivity("score batch", ActivityKind.Internal, batch.Texts[0].Request.Trace);
        span?.SetTag("ldlvk.texts", batch.Texts.Count).SetTag("ldlvk.tokens", batch.Tokens);
        foreach (ScoringRequest request in batch.Texts.Select(t => t.Request).Distinct())
            _metrics.RequestWaited(Stopwatch.GetElapsedTime(request.Since, begun));
        try
        {
            ScoreResult[] results = _score([.. batch.Texts.Select(t => t.Text)], batch.Abandoned.Token);
            Failure = null;
            _metrics.BatchDone(batch, Stopwatch.GetElapsedTime(begun));
            lock (_lock)
            {
                (_failed, _failures) = (null, 0);
                _throughput.Add(batch, clock, _options.Clock.GetTimestamp());
                for (int i = 0; i < results.Length; i++) batch.Texts[i].Request.Add(batch.Texts[i].Index, results[i]);
            }
        }
        catch (OperationCanceledException)
        {
            // No client waits for any of the texts.
        }
        catch (Exception e)
        {
            string reason = ServerLog.Reason(e, _options);
            span?.SetStatus(ActivityStatusCode.Error, reason);
            string? failure = ServerLog.ReasonForClients(e, _options.Word);
            if (failure is not null) Failure = failure;
            _log.BatchFailed(batch.Texts.Count, reason);
            lock (_lock)
            {
                if (failure is not null)
                    (_failed, _failures, _failedAt) =
                        (batch.Texts.MinBy(t => t.Ids.Length)!.Text, _failures + 1, Stopwatch.GetTimestamp());
                foreach (ScoringRequest request in batch.Texts.Select(t => t.Request).Distinct())
                {
                    request.Fail(e);
                    Forget(request, []);
                }
            }
        }
    }
}
