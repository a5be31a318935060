using System.Runtime.ExceptionServices;

namespace LdlVk.Runtime.Devices;

/// <summary>Reads the rows of a weight matrix into memory, side by side on several cores.</summary>
public static unsafe class WeightRows
{
    /// <summary>
    /// Bytes that one core reads at a time: large enough to read from disk at full speed, small enough to cancel quickly.
    /// </summary>
    private const int PieceBytes = 4 << 20;

    /// <summary>Reads a whole matrix.</summary>
    /// <param name="source">The source of the rows.</param>
    /// <param name="values">OutputFeatures · RowBytes bytes.</param>
    /// <param name="scales">OutputFeatures · ScalesPerRow scales; null if the format has none.</param>
    /// <param name="threads">Cores to use.</param>
    /// <param name="progress">Told the bytes read since the last report, by one thread at a time.</param>
    /// <param name="cancellationToken">Ends it between pieces.</param>
    public static void ReadAll(IWeightSource source, byte* values, Half* scales, int threads, IProgress<long>? progress,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(source);
        long rowBytes = WeightLayout.RowBytes(source.Format, source.InputFeatures);
        int rowsAtOnce = (int)Math.Clamp(PieceBytes / rowBytes, 1, source.OutputFeatures);
        Read(source, 0, source.OutputFeatures, rowsAtOnce, values, scales, threads, progress, cancellationToken);
    }

    /// <summary>Reads some rows, in as many pieces as there are cores.</summary>
    /// <param name="source">The source of the rows.</param>
    /// <param name="firstRow">First row.</param>
    /// <param name="rowCount">Number of rows.</param>
    /// <param name="values">rowCount · RowBytes bytes.</param>
    /// <param name="scales">rowCount · ScalesPerRow scales; null if the format has none.</param>
    public static void ReadSome(IWeightSource source, int firstRow, int rowCount, byte* values, Half* scales)
    {
        int threads = Environment.ProcessorCount;
        Read(source, firstRow, rowCount, (rowCount + threads - 1) / threads, values, scales, threads, null, default);
    }

    private static void Read(
        IWeightSource source, int firstRow, int rowCount, int rowsAtOnce, byte* values, Half* scales, int threads,
            IProgress<long>? progress, CancellationToken cancellationToken)
    {
        long rowBytes = WeightLayout.RowBytes(source.Format, source.InputFeatures);
        int rowScales = WeightLayout.ScalesPerRow(source.Format, source.InputFeatures);
        Lock reporting = new();
        ParallelOptions options = new() { CancellationToken = cancellationToken, MaxDegreeOfParallelism = threads };
        try
        {
            Parallel.For(0, (rowCount + rowsAtOnce - 1) / rowsAtOnce, options, piece =>
            {
                int first = piece * rowsAtOnce, rows = Math.Min(rowsAtOnce, rowCount - first);
                source.ReadRows(firstRow + first, rows, new Span<byte>(values + (first * rowBytes), checked((int)(rows * rowBytes))),
                    new Span<Half>(scales + ((long)first * rowScales), rows * rowScales));
                if (progress is null) return;
                lock (reporting) progress.Report(rows * (rowBytes + (rowScales * 2L)));
            });
        }
        catch (AggregateException e)
        {
            // The source's own error says what is wrong with the checkpoint.
            ExceptionDispatchInfo.Throw(e.Flatten().InnerExceptions[0]);
        }
    }
}
