using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;

namespace LdlVk.Mutation;

/// <summary>What a run of mutants found.</summary>
/// <param name="Reader">The reader.</param>
/// <param name="Mutants">Number of mutants.</param>
/// <param name="Refused">Those that were errors of ours.</param>
/// <param name="Failures">Descriptions of failures that differ.</param>
/// <param name="Slowest">The longest time that one took.</param>
/// <param name="Allocated">The most bytes that one allocated, which are not all live at once.</param>
/// <param name="Elapsed">The time of all.</param>
internal sealed record MutationResult(
    string Reader, long Mutants, long Refused, IReadOnlyList<string> Failures, TimeSpan Slowest, long Allocated, TimeSpan Elapsed)
{
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Reader,-18} {Mutants,9} {Refused,9} {Failures.Count,8} {Slowest.TotalMilliseconds,10:F0} {Allocated / 1e6,10:F1} "
        + $"{Process.GetCurrentProcess().PeakWorkingSet64 / 1e6,9:F0} {Elapsed.TotalSeconds,7:F0}");
}

/// <summary>
/// Gives mutants to a reader. A failure is an exception that is not the reader's own, more memory than the process's heap may have (see the
/// project file), or a time of more than 5 s, twice.
/// </summary>
internal static class MutationRun
{
    public const string Header = "reader               mutants   refused failures slowest ms  alloc. MB   peak MB       s";

    private static readonly TimeSpan MaxTime = TimeSpan.FromSeconds(5), Hang = TimeSpan.FromSeconds(60);

    /// <summary>Runs the seeds, and then mutants until there are enough or the time is over.</summary>
    public static MutationResult Of(Reader reader, int seed, long count, TimeSpan maxTime)
    {
        State state = new(reader);
        Thread thread = new(() => Run(state, new Mutator(reader, seed), count, maxTime), 1 << 20) { IsBackground = true };
        thread.Start();
        while (!thread.Join(TimeSpan.FromSeconds(1)))
        {
            if (state.Begun is not { } begun || Stopwatch.GetElapsedTime(begun) < Hang) continue;
            state.Fail("hang", "it had not ended after 60 s", state.Current);
            break;
        }

        return new MutationResult(
            reader.Name, state.Mutants, state.Refused, [.. state.Failures.Values], state.Slowest, state.Allocated,
            Stopwatch.GetElapsedTime(state.Start));
    }

    private static void Run(State state, Mutator mutator, long count, TimeSpan maxTime)
    {
        foreach (byte[] seed in state.Reader.Seeds) Give(state, seed);
        while (state.Mutants < count && Stopwatch.GetElapsedTime(state.Start) < maxTime)
        {
            Give(state, mutator.Next());
            state.Mutants++;
        }
    }

    private static void Give(State state, byte[] input)
    {
        if (Once(state, input) <= MaxTime) return;
        TimeSpan again = Once(state, input);
        if (again > MaxTime) state.Fail("slow", string.Create(CultureInfo.InvariantCulture, $"it took {again.TotalSeconds:F1} s"), input);
    }

    private static TimeSpan Once(State state, byte[] input)
    {
        long before = GC.GetAllocatedBytesForCurrentThread(), start = Stopwatch.GetTimestamp();
        (state.Current, state.Begun) = (input, start);
        try
        {
            state.Reader.Read(input);
        }
        catch (Exception e) when (state.Reader.IsOurs(e))
        {
            state.Refused++;
        }
        catch (Exception e)
        {
            string at = e.StackTrace?.Split('\n').FirstOrDefault(line => line.Contains(" LdlVk.", StringComparison.Ordinal))?.Trim() ?? "";
            state.Fail($"{e.GetType().Name} {at}", e.ToString(), input);
        }

        state.Begun = null;
        TimeSpan time = Stopwatch.GetElapsedTime(start);
        if (time > state.Slowest) state.Slowest = time;
        state.Allocated = Math.Max(state.Allocated, GC.GetAllocatedBytesForCurrentThread() - before);
        return time;
    }

    private sealed class State(Reader reader)
    {
        public Reader Reader => reader;

        public long Start { get; } = Stopwatch.GetTimestamp();

        public long? Begun { get; set; }

        public byte[] Current { get; set; } = [];

        public long Mutants { get; set; }

        public long Refused { get; set; }

        public TimeSpan Slowest { get; set; }

        public long Allocated { get; set; }

        public Dictionary<string, string> Failures { get; } = [];

        /// <summary>Keeps the first failure of each kind, and its input in a file.</summary>
        public void Fail(string kind, string what, byte[] input)
        {
            if (Failures.ContainsKey(kind)) return;
            string path = Path.Combine(
                Path.GetTempPath(), $"ldlvk-mutant-{reader.Name}-{Convert.ToHexStringLower(SHA256.HashData(input).AsSpan(0, 6))}");
            File.WriteAllBytes(path, input);
            Failures.Add(kind, $"{reader.Name}: {what} (input of {input.Length} bytes: {path})");
        }
    }
}
