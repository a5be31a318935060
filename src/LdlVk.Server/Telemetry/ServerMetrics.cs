using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using LdlVk.Server.Scoring;

namespace LdlVk.Server.Telemetry;

/// <summary>What <c>/metrics</c> tells, in the text format of Prometheus. Thread-safe.</summary>
internal sealed class ServerMetrics
{
    private static readonly double[] Seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

    private readonly ConcurrentDictionary<(string Endpoint, int Status), Counter> _requests = new();
    private readonly ConcurrentDictionary<string, Histogram> _requestSeconds = new();
    private readonly Histogram _batchTexts = new([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);
    private readonly Histogram _batchSeconds = new(Seconds);
    private readonly Counter _tokens = new();
    private int _underWay;

    /// <summary>How long requests waited before their first text was scored.</summary>
    public Histogram QueueSeconds { get; } = new(Seconds);

    /// <summary>Texts whose caller had gone.</summary>
    public Counter Abandoned { get; } = new();

    /// <summary>Requests for scores that are not answered yet.</summary>
    public int UnderWay => Volatile.Read(ref _underWay);

    public void RequestBegins() => Interlocked.Increment(ref _underWay);

    public void RequestEnds(string endpoint, int status, TimeSpan time)
    {
        Interlocked.Decrement(ref _underWay);
        _requests.GetOrAdd((endpoint, status), _ => new Counter()).Add(1);
        _requestSeconds.GetOrAdd(endpoint, _ => new Histogram(Seconds)).Add(time.TotalSeconds);
    }

    public void BatchDone(ScoringBatch batch, TimeSpan time)
    {
        _batchTexts.Add(batch.Texts.Count);
        _batchSeconds.Add(time.TotalSeconds);
        _tokens.Add(batch.Tokens);
    }

    /// <summary>All figures.</summary>
    public string Write(ScoringQueue queue, bool ready)
    {
        StringBuilder text = new();
        (int texts, long tokens) = queue.Waiting;
        Head("ldlvk_requests_total", "counter", "Requests by endpoint and status.");
        foreach (((string endpoint, int status), Counter count) in _requests.OrderBy(r => r.Key))
            Line("ldlvk_requests_total", $"endpoint=\"{endpoint}\",status=\"{status}\"", count.Value);
        Head("ldlvk_request_seconds", "histogram", "Time from a request to its answer.");
        foreach ((string endpoint, Histogram histogram) in _requestSeconds.OrderBy(r => r.Key, StringComparer.Ordinal)) Write(histogram, "ldlvk_request_seconds", $"endpoint=\"{endpoint}\"");
        One("ldlvk_queue_seconds", "Time that requests waited before a batch took their texts.", QueueSeconds);
        One("ldlvk_batch_texts", "Texts of a batch.", _batchTexts);
        One("ldlvk_batch_seconds", "Time from forming a batch to its scores.", _batchSeconds);
        Single("ldlvk_tokens_total", "counter", "Tokens of scored texts, shared beginnings counted for each.", _tokens.Value);
        Single("ldlvk_abandoned_texts_total", "counter", "Texts whose caller had gone before their score was there.", Abandoned.Value);
        Single("ldlvk_requests_under_way", "gauge", "Requests for scores that are not answered yet.", UnderWay);
        Single("ldlvk_queue_texts", "gauge", "Texts that wait.", texts);
        Single("ldlvk_queue_tokens", "gauge", "Tokens that wait.", tokens);
        Single("ldlvk_ready", "gauge", "1 while scores are to be had.", ready ? 1 : 0);
        return text.ToString();

        void Head(string name, string type, string help) => text.Append("# HELP ").Append(name).Append(' ').Append(help).Append("\n# TYPE ").Append(name).Append(' ').Append(type).Append('\n');

        void Line(string name, string labels, double value)
        {
            text.Append(name);
            if (labels.Length > 0) text.Append('{').Append(labels).Append('}');
            text.Append(' ').Append(value.ToString(CultureInfo.InvariantCulture)).Append('\n');
        }

        void Single(string name, string type, string help, double value)
        {
            Head(name, type, help);
            Line(name, "", value);
        }

        void One(string name, string help, Histogram histogram)
        {
            Head(name, "histogram", help);
            Write(histogram, name, "");
        }

        void Write(Histogram histogram, string name, string labels)
        {
            (long[] counts, double sum) = histogram.Values;
            string comma = labels.Length > 0 ? "," : "";
            long total = 0;
            for (int i = 0; i < counts.Length; i++)
            {
                total += counts[i];
                string bound = i == histogram.Bounds.Count ? "+Inf" : histogram.Bounds[i].ToString(CultureInfo.InvariantCulture);
                Line(name + "_bucket", $"{labels}{comma}le=\"{bound}\"", total);
            }

            Line(name + "_sum", labels, sum);
            Line(name + "_count", labels, total);
        }
    }
}

/// <summary>A number that grows. Thread-safe.</summary>
internal sealed class Counter
{
    private long _value;

    public long Value => Volatile.Read(ref _value);

    public void Add(long more) => Interlocked.Add(ref _value, more);
}

/// <summary>How often values up to each bound occurred. Thread-safe.</summary>
internal sealed class Histogram(double[] bounds)
{
    private readonly long[] _counts = new long[bounds.Length + 1];
    private double _sum;

    /// <summary>Upper bounds of all buckets but the last, which has none.</summary>
    public IReadOnlyList<double> Bounds => bounds;

    /// <summary>Values in each bucket, and the sum of all.</summary>
    public (long[] Counts, double Sum) Values
    {
        get
        {
            lock (_counts) return ([.. _counts], _sum);
        }
    }

    public void Add(double value)
    {
        int bucket = Array.FindIndex(bounds, bound => value <= bound);
        lock (_counts)
        {
            _counts[bucket < 0 ? bounds.Length : bucket]++;
            _sum += value;
        }
    }
}
