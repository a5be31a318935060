namespace LdlVk.Datasets.Containers.Parquet;

/// <summary>What a page is.</summary>
internal enum PageType
{
    Data, Index, Dictionary, DataV2,
}

/// <summary>The head of a page (PageHeader in parquet.thrift).</summary>
internal readonly record struct PageHeader
{
    /// <summary>What it is.</summary>
    public PageType Type { get; init; }

    /// <summary>Bytes that follow the head.</summary>
    public int CompressedBytes { get; init; }

    /// <summary>Bytes of that, decompressed.</summary>
    public int Bytes { get; init; }

    /// <summary>Entries, nulls included.</summary>
    public int Values { get; init; }

    /// <summary>How the values are written.</summary>
    public int Encoding { get; init; }

    /// <summary>Whether levels of a <see cref="PageType.Data"/> page are in the format of old, which no writer makes any more.</summary>
    public bool HasOldLevels { get; init; }

    /// <summary>Bytes of the levels of a <see cref="PageType.DataV2"/> page, which are never compressed.</summary>
    public (int Repetition, int Definition) LevelBytes { get; init; }

    /// <summary>Whether the values are compressed.</summary>
    public bool IsCompressed { get; init; }

    /// <summary>Reads a head.</summary>
    /// <exception cref="InvalidDataException">It is none.</exception>
    /// <exception cref="EndOfStreamException">It is longer.</exception>
    public static PageHeader Read(ref ThriftReader reader)
    {
        PageHeader header = new() { Type = (PageType)(-1), CompressedBytes = -1, Bytes = -1, IsCompressed = true };
        for (int field = 0; reader.Next(ref field, out ThriftType type);)
        {
            switch (field)
            {
                case 1: header = header with { Type = (PageType)reader.Integer(type) }; break;
                case 2: header = header with { Bytes = reader.Count(type) }; break;
                case 3: header = header with { CompressedBytes = reader.Count(type) }; break;
                case 5 or 7 or 8:
                    ThriftReader.Struct(type);
                    header = Details(header, field, ref reader);
                    break;
                default: reader.Skip(type); break;
            }
        }

        if (header.Bytes < 0 || header.CompressedBytes < 0 || (int)header.Type < 0)
            throw new InvalidDataException("there is no page where one should be.");
        return header;
    }

    private static PageHeader Details(PageHeader header, int kind, ref ThriftReader reader)
    {
        for (int field = 0; reader.Next(ref field, out ThriftType type);)
        {
            switch (kind, field)
            {
                case (_, 1): header = header with { Values = reader.Count(type) }; break;
                case (5 or 7, 2) or (8, 4): header = header with { Encoding = reader.Count(type) }; break;
                case (5, 3 or 4): header = header with { HasOldLevels = header.HasOldLevels || reader.Integer(type) != 3 }; break;
                case (8, 5): header = header with { LevelBytes = (header.LevelBytes.Repetition, reader.Count(type)) }; break;
                case (8, 6): header = header with { LevelBytes = (reader.Count(type), header.LevelBytes.Definition) }; break;
                case (8, 7): header = header with { IsCompressed = reader.Boolean(type) }; break;
                default: reader.Skip(type); break;
            }
        }

        return header;
    }
}
