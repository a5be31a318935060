using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace LdlVk.Bench;

/// <summary>
/// Requests as the server sees them, by its own trace: when each came, how long its texts took to be read, and when it was answered. A client
/// numbers its requests by the trace that they are part of.
/// </summary>
internal sealed class RequestSpans : IDisposable
{
    private readonly ActivityListener _listener;
    private readonly ConcurrentDictionary<int, (DateTime Came, TimeSpan Time)> _requests = new();
    private readonly ConcurrentDictionary<int, TimeSpan> _reading = new();
    private readonly ConcurrentQueue<(int First, int Texts, TimeSpan Time)> _passes = new();

    public RequestSpans()
    {
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name is "LdlVk.Server" or "Microsoft.AspNetCore",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = Take,
        };
        ActivitySource.AddActivityListener(_listener);
    }

    /// <summary>When request <paramref name="number"/> came, the time to its answer, and its share that reading the texts had.</summary>
    public (DateTime Came, TimeSpan Time, TimeSpan Reading) this[int number] => (_requests[number].Came, _requests[number].Time, _reading[number]);

    /// <summary>The passes: the number of the first request, how many texts were scored together, and how long that took.</summary>
    public IReadOnlyCollection<(int First, int Texts, TimeSpan Time)> Passes => _passes;

    /// <summary>The header <c>traceparent</c> of the request with a number.</summary>
    public static string Header(int number) => string.Create(CultureInfo.InvariantCulture, $"00-{number + 1:x32}-0000000000000001-01");

    public void Dispose() => _listener.Dispose();

    private void Take(Activity activity)
    {
        if (!int.TryParse(activity.TraceId.ToHexString(), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out int number)) return;
        if (activity.Source.Name == "Microsoft.AspNetCore") _requests[number - 1] = (activity.StartTimeUtc, activity.Duration);
        else if (activity.OperationName == "read texts") _reading[number - 1] = activity.Duration;
        else if (activity.OperationName == "score batch") _passes.Enqueue((number - 1, (int)activity.GetTagItem("ldlvk.texts")!, activity.Duration));
    }
}
