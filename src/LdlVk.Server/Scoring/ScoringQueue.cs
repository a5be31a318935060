using System.Diagnostics;
using LdlVk.Server.Http;
using LdlVk.Server.Telemetry;
using Microsoft.Extensions.Logging;

namespace LdlVk.Server.Scoring;

/// <summary>Scores texts together, a result for each.</summary>
internal delegate ScoreResult[] ScoreTexts(IReadOnlyList<TokenizedText> texts, CancellationToken cancellation);

/// <summary>
/// The one queue in which the texts of all requests wait, and the threads that score them in batches. A batch is formed as late as
/// possible: when a device would be idle, or when there is enough for a micro-batch, which then lies ready behind those under way. Company
/// gathers while the devices are busy; an idle one waits for it only where that is short beside what scoring takes. That a text's score is
/// the same to the bit in any company lets texts of different requests share a batch. Thread-safe.
/// </summary>
internal sealed class ScoringQueue : IDisposable
{
    /// <summary>
    /// Texts of a batch with which a new one is compared, to count a shared beginning once. A prompt's responses come together.
    /// </summary>
    private const int Neighbors = 16;

    /// <summary>
    /// An idle device waits for company for at most this part of the time that the texts at hand take: one that is asked one text at a
    /// time, and is soon done with it, must not stand idle while more than it gains could be scored.
    /// </summary>
    private const double Patience = 0.05;

    /// <summary>
    /// A batch holds no more than it takes for this part of its time to be what any batch takes: whoever comes next waits for its end, and
    /// all its texts for its last.
    /// </summary>
    private const double FixedCost = 0.05;

    /// <summary>But this part of what waits in any case: with a long queue the rest of a batch is short beside it.</summary>
    private const double Share = 0.25;

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
    private int _busy;
    private bool _ended;

    /// <param name="score">Scores a batch, as <see cref="RewardModel.ScoreTogether"/>.</param>
    /// <param name="plan">How much a batch holds, and how many devices want one.</param>
    /// <param name="options">The limits.</param>
    /// <param name="metrics">Told what happens.</param>
    public ScoringQueue(ScoreTexts score, ExecutionPlan plan, ServerOptions options, ServerMetrics metrics)
    {
        (_score, _options, _metrics) = (score, options, metrics);
        _log = options.LoggerFactory.CreateLogger<ScoringQueue>();
        _budget = plan.Streams ? plan.WaveTokens : plan.BatchTokens;
        _devices = plan.Stages.Count;
        // One batch for each device, and one that lies ready.
        _threads = [.. Enumerable.Range(0, _devices + 1).Select(i => new Thread(Work) { IsBackground = true, Name = $"scoring {i}" })];
        foreach (Thread thread in _threads) thread.Start();
    }

    /// <summary>Texts and tokens that wait.</summary>
    public (int Texts, long Tokens) Waiting
    {
        get
        {
            lock (_lock) return (_waiting.Count, _waitingTokens);
        }
    }

    /// <summary>Why the last batch failed; null if it did not.</summary>
    public string? Failure { get; private set; }

    /// <summary>Scores the texts of a request; those that have an error keep it.</summary>
    /// <param name="texts">Checked texts, see <see cref="RewardModel.Check"/>.</param>
    /// <param name="cancellation">Takes them out of the queue.</param>
    /// <returns>A result for each text, in their order.</returns>
    /// <exception cref="RequestException">There is no room.</exception>
    /// <exception cref="DeviceException">The device failed.</exception>
    public async Task<ScoreResult[]> ScoreAsync(IReadOnlyList<TokenizedText> texts, CancellationToken cancellation)
    {
        ScoringRequest request = new(texts);
        if (request.Texts.Count == 0) return await request.Results.ConfigureAwait(false);
        Enqueue(request);
        using CancellationTokenRegistration registration = cancellation.Register(() => Abandon(request, cancellation));
        return await request.Results.ConfigureAwait(false);
    }

    /// <summary>Throws if the queue is full: a request can be told so before its body is read.</summary>
    public void CheckRoom()
    {
        lock (_lock)
            if (_waiting.Count >= _options.MaxQueue) throw Full();
    }

    /// <summary>Ends the threads after the batches under way; requests that still wait are cancelled.</summary>
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
                $"The texts have {tokens} tokens together; at most {_options.MaxQueueTokens} are taken at a time. "
                + $"Send fewer texts in a request.");
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_ended, this);
            // A request with more texts than the queue has places may come when there is nobody else.
            bool fits = _waiting.Count + request.Texts.Count <= _options.MaxQueue && _waitingTokens + tokens <= _options.MaxQueueTokens;
            if (!fits && _waiting.Count > 0) throw Full();
            foreach (QueuedText text in request.Texts) text.Place = _waiting.AddLast(text);
            _waitingTokens += tokens;
            Monitor.PulseAll(_lock);
        }
    }

    private RequestException Full() =>
        new(429, $"{_waiting.Count} texts are waiting already, and there is no room for more. Come again after the time of Retry-After.")
    {
        RetryAfter = _throughput.RetryAfter(_waitingTokens),
    };

    /// <summary>Ends a request whose caller has gone.</summary>
    private void Abandon(ScoringRequest request, CancellationToken cancellation)
    {
        List<ScoringBatch> unwanted = [];
        lock (_lock)
        {
            if (request.Results.IsCompleted) return;
            request.Cancel(cancellation);
            Forget(request, unwanted);
        }

        _metrics.TextsAbandoned(request.Texts.Count);
        // Outside the lock: whoever waits for such a batch goes on in this call.
        foreach (ScoringBatch batch in unwanted) batch.Abandoned.Cancel();
    }

    /// <summary>Takes a request's texts out of the queue, and says of which batches nobody wants anything any more.</summary>
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

    /// <summary>Waits for the next batch; null at the end.</summary>
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
                        : (int)(WaitForCompany() - Stopwatch.GetElapsedTime(oldest.Request.Since)).TotalMilliseconds;
                    // Locks wait whole milliseconds.
                    if (wait <= 0) return Form();
                }

                Monitor.Wait(_lock, wait);
            }

            return null;
        }
    }

    /// <summary>How long texts wait for company while a device is idle: not at all where they are enough for a batch.</summary>
    private TimeSpan WaitForCompany()
    {
        if (_waitingTokens >= _throughput.RowsWhereFixedCostIs(FixedCost)) return TimeSpan.Zero;
        TimeSpan worthwhile = Patience * _throughput.TimeFor(_waitingTokens);
        return worthwhile < _options.MaxWait ? worthwhile : _options.MaxWait;
    }

    /// <summary>
    /// The texts from the queue's front on that are enough for a batch, a micro-batch at most. Those that share most of their tokens with
    /// one before them stay with it.
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

    /// <summary>Scores a batch, tells its requests, and learns from what it took unless it failed or nobody wanted it any more.</summary>
    private void Score(ScoringBatch batch)
    {
        long begun = Stopwatch.GetTimestamp(), clock = _options.Clock.GetTimestamp();
        using Activity? span = Tracing.Source.StartActivity("score batch", ActivityKind.Internal, batch.Texts[0].Request.Trace);
        span?.SetTag("ldlvk.texts", batch.Texts.Count).SetTag("ldlvk.tokens", batch.Tokens);
        foreach (ScoringRequest request in batch.Texts.Select(t => t.Request).Distinct())
            _metrics.RequestWaited(Stopwatch.GetElapsedTime(request.Since, begun));
        try
        {
            ScoreResult[] results = _score([.. batch.Texts.Select(t => new TokenizedText(t.Ids))], batch.Abandoned.Token);
            Failure = null;
            _metrics.BatchDone(batch, Stopwatch.GetElapsedTime(begun));
            lock (_lock)
            {
                _throughput.Add(batch, clock, _options.Clock.GetTimestamp());
                for (int i = 0; i < results.Length; i++) batch.Texts[i].Request.Add(batch.Texts[i].Index, results[i]);
            }
        }
        catch (OperationCanceledException)
        {
            // Nobody waits for any of them.
        }
        catch (Exception e)
        {
            string reason = ServerLog.Reason(e, _options);
            span?.SetStatus(ActivityStatusCode.Error, reason);
            if (e is DeviceException) Failure = reason;
            _log.BatchFailed(batch.Texts.Count, reason);
            lock (_lock)
            {
                foreach (ScoringRequest request in batch.Texts.Select(t => t.Request).Distinct())
                {
                    request.Fail(e);
                    Forget(request, []);
                }
            }
        }
    }
}
