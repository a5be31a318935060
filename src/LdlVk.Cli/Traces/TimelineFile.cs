using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using LdlVk.Datasets.Items;

namespace LdlVk.Cli.Traces;

/// <summary>
/// A timeline in the Trace Event Format ("JSON Array Format"; chrome://tracing, Perfetto): a thread for each device, a complete event
/// (<c>"ph":"X"</c>) for each micro-batch and each streamed layer, in microseconds from the first. Thread-safe.
/// </summary>
internal sealed class TimelineFile : ITimeline
{
    private readonly List<TimelineSpan> _spans = [];
    private readonly Lock _gate = new();

    /// <inheritdoc/>
    public void Add(in TimelineSpan span)
    {
        lock (_gate) _spans.Add(span);
    }

    /// <summary>Writes the file.</summary>
    public void Write(Stream output)
    {
        using Utf8JsonWriter json = new(output, RewardJson.Compact);
        lock (_gate)
        {
            long zero = _spans.Count == 0 ? 0 : _spans.Min(s => s.Begin);
            string[] tracks = [.. _spans.Select(s => s.Track).Distinct().Order(StringComparer.Ordinal)];
            json.WriteStartArray();
            for (int i = 0; i < tracks.Length; i++)
            {
                Begin("M", "thread_name", i);
                json.WriteStartObject("args");
                json.WriteString("name", tracks[i]);
                json.WriteEndObject();
                json.WriteEndObject();
            }

            foreach (TimelineSpan span in _spans.OrderBy(s => s.Begin))
            {
                Begin("X", span.Name, Array.IndexOf(tracks, span.Track));
                json.WriteNumber("ts", Microseconds(span.Begin - zero));
                json.WriteNumber("dur", Microseconds(span.End - span.Begin));
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        void Begin(string kind, string name, int thread)
        {
            json.WriteStartObject();
            json.WriteString("ph", kind);
            json.WriteString("name", name);
            json.WriteNumber("pid", 0);
            json.WriteNumber("tid", thread);
        }
    }

    /// <summary>Describes how long each device was idle, from its first work to the last work of all devices.</summary>
    public IReadOnlyList<string> Idle()
    {
        lock (_gate)
        {
            if (_spans.Count == 0) return [];
            double all = Stopwatch.GetElapsedTime(_spans.Min(s => s.Begin), _spans.Max(s => s.End)).TotalSeconds;
            return [.. _spans.GroupBy(s => s.Track).Select(track =>
            {
                double busy = Stopwatch.GetElapsedTime(0, track.Sum(s => s.End - s.Begin)).TotalSeconds;
                return string.Create(
                    CultureInfo.InvariantCulture,
                    $"{track.Key}: busy {busy:F2} s, idle {all - busy:F2} s of {all:F2} s ({100 * (all - busy) / all:F0} %)");
            })];
        }
    }

    private static double Microseconds(long ticks) => Math.Round(ticks * 1e6 / Stopwatch.Frequency, 1);
}
