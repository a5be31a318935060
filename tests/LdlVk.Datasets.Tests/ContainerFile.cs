using System.Text;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;

namespace LdlVk.Datasets.Tests;

/// <summary>Reads the bytes of an input, given in pieces of any size.</summary>
internal static class ContainerFile
{
    /// <summary>Returns the lines, with bytes of their own.</summary>
    public static RawLine[] Lines(byte[] file, int chunk = 1 << 16, ItemFields? names = null, bool isFile = true)
    {
        using SlowStream stream = new(file, chunk);
        InputBuffer input = new(stream, CancellationToken.None);
        return [.. new ContainerReader(input, "the input", names ?? ItemFields.Usual, isFile).Lines()
            .Select(line => line with { Bytes = line.Bytes.ToArray() })];
    }

    /// <summary>Returns the items.</summary>
    public static InputLine[] Items(string file, ItemFields? names = null) =>
        [.. Lines(Encoding.UTF8.GetBytes(file), names: names).Select(line => InputLine.Parse(line, names))];

    /// <summary>Returns the conversation of an item's only text, as "role: content" lines.</summary>
    public static string Said(InputLine line) => line.Error
        ?? string.Join('\n', line.Item.Conversations.Select(c => string.Join(" | ", c.Messages.Select(m => $"{m.Role}: {m.Content}"))));

    /// <summary>Gives at most <paramref name="chunk"/> bytes at a time.</summary>
    private sealed class SlowStream(byte[] bytes, int chunk) : MemoryStream(bytes)
    {
        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(count, chunk));
    }
}
