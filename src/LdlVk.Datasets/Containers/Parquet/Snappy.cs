namespace LdlVk.Datasets.Containers.Parquet;

/// <summary>Decompresses Snappy's raw format (github.com/google/snappy, format_description.txt), which most Parquet files are in.</summary>
internal static class Snappy
{
    /// <summary>Decompresses a block, which must fill its target.</summary>
    /// <exception cref="InvalidDataException">It does not, or is damaged.</exception>
    public static void Decompress(ReadOnlySpan<byte> source, Span<byte> target)
    {
        int at = 0, done = 0;
        uint length = 0;
        for (int shift = 0; ; shift += 7)
        {
            if (at >= source.Length || shift > 28) throw Damaged();
            byte next = source[at++];
            length |= (uint)(next & 127) << shift;
            if (next < 128) break;
        }

        if (length != target.Length) throw Damaged();
        while (at < source.Length)
        {
            byte tag = source[at++];
            if ((tag & 3) == 0)
            {
                int bytes = (tag >> 2) + 1;
                if (bytes > 60)
                {
                    int size = bytes - 60;
                    bytes = checked((int)Math.Min(int.MaxValue, Number(source, ref at, size) + 1));
                }

                if (bytes > source.Length - at || bytes > target.Length - done) throw Damaged();
                source.Slice(at, bytes).CopyTo(target[done..]);
                at += bytes;
                done += bytes;
                continue;
            }

            int count = (tag & 3) == 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
            long back = (tag & 3) switch
            {
                1 => ((tag >> 5) * 256) + Number(source, ref at, 1),
                2 => Number(source, ref at, 2),
                _ => Number(source, ref at, 4),
            };
            if (back == 0 || back > done || count > target.Length - done) throw Damaged();
            // What is copied may be what is being written: a pattern that repeats.
            for (int i = 0; i < count; i++, done++) target[done] = target[done - (int)back];
        }

        if (done != target.Length) throw Damaged();
    }

    private static long Number(ReadOnlySpan<byte> source, ref int at, int size)
    {
        if (size > source.Length - at) throw Damaged();
        long value = 0;
        for (int i = 0; i < size; i++) value |= (long)source[at++] << (8 * i);
        return value;
    }

    private static InvalidDataException Damaged() => new("a page cannot be decompressed as Snappy.");
}
