using System.Text.Json;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Items;

namespace LdlVk.Datasets.Lines;

/// <summary>A line of input: what is to be scored, or the reason why it cannot be.</summary>
public sealed class InputLine
{
    /// <summary>Most responses of one line: their results are held until the line is complete.</summary>
    public const int MaxResponses = 10_000;

    private static readonly ItemReader Reader = new(JsonLine.Fields);

    private InputLine(string id, Item item, int bytes = 0) => (Id, Item, Bytes) = (id, item, bytes);

    /// <summary>The id as JSON: a string or a number as it was given, or the line's number.</summary>
    public string Id { get; }

    /// <summary>What is to be scored; <see cref="Item.None"/> if there is an error.</summary>
    public Item Item { get; }

    /// <summary>Why the line cannot be used; null if it can.</summary>
    public string? Error { get; private init; }

    /// <summary>Length of the line in its file.</summary>
    public int Bytes { get; }

    /// <summary>Share of the input that has been read with this line, 0 to 1; null where its size is not known.</summary>
    public double? Share { get; internal set; }

    /// <summary>The input's digest up to this line, where an account of it is kept.</summary>
    public string Digest { get; internal set; } = "";

    /// <summary>The id as a text.</summary>
    public string Name
    {
        get
        {
            using JsonDocument json = JsonDocument.Parse(Id);
            return json.RootElement.ToString();
        }
    }

    /// <summary>A line that was not read from a file.</summary>
    /// <param name="id">The id as JSON.</param>
    /// <param name="item">What is to be scored.</param>
    /// <param name="bytes">Length of what it was read from.</param>
    public static InputLine Of(string id, Item item, int bytes = 0) => new(id, item, bytes);

    /// <summary>A line that cannot be used.</summary>
    /// <param name="id">The id as JSON.</param>
    /// <param name="error">Why.</param>
    /// <param name="bytes">Its length.</param>
    public static InputLine Failed(string id, string error, int bytes = 0) => new(id, Item.None, bytes) { Error = error };

    /// <summary>This line as one that cannot be used.</summary>
    public InputLine Failed(string error) => new(Id, Item.None, Bytes) { Error = error, Share = Share, Digest = Digest };

    /// <summary>Reads a line. Fields that it does not know are ignored: data sets have many.</summary>
    public static InputLine Parse(RawLine line)
    {
        int bytes = line.Bytes.Length;
        return JsonLine.Read(
            line, (root, id) => new InputLine(id, Reader.Read(root, MaxResponses), bytes), (id, error) => Failed(id, error, bytes));
    }
}
