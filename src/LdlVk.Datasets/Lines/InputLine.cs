using System.Text.Json;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Items;

namespace LdlVk.Datasets.Lines;

/// <summary>A line of input: an item to score, or the reason why it cannot be scored.</summary>
public sealed class InputLine
{
    /// <summary>Maximum number of responses of a line, whose results are kept until the line is complete.</summary>
    public const int MaxResponses = 10_000;

    private InputLine(string id, Item item, int bytes = 0) => (Id, Item, Bytes) = (id, item, bytes);

    /// <summary>The id as JSON: the given string or number, or the line's index.</summary>
    public string Id { get; }

    /// <summary>The item to score; <see cref="Item.None"/> if there is an error.</summary>
    public Item Item { get; }

    /// <summary>The reason why the line cannot be scored; null if it can.</summary>
    public string? Error { get; private init; }

    /// <summary>Length of the line in its file, in bytes.</summary>
    public int Bytes { get; }

    /// <summary>Share of the input up to and including this line, 0 to 1; null if the size is unknown.</summary>
    public double? Share { get; internal set; }

    /// <summary>The input's digest up to this line, for resumable runs. Few are written, and made hexadecimal then.</summary>
    internal ReadOnlyMemory<byte> Digest { get; set; }

    /// <summary>The id as a text.</summary>
    public string Name
    {
        get
        {
            using JsonDocument json = JsonDocument.Parse(Id);
            return json.RootElement.ToString();
        }
    }

    /// <summary>Creates a line that was not read from a file.</summary>
    /// <param name="id">The id as JSON.</param>
    /// <param name="item">The item to score.</param>
    /// <param name="bytes">Length of its source in bytes.</param>
    public static InputLine Of(string id, Item item, int bytes = 0) => new(id, item, bytes);

    /// <summary>Creates a line that cannot be scored.</summary>
    /// <param name="id">The id as JSON.</param>
    /// <param name="error">The reason.</param>
    /// <param name="bytes">Its length.</param>
    public static InputLine Failed(string id, string error, int bytes = 0) => new(id, Item.None, bytes) { Error = error };

    /// <summary>Returns this line with an error.</summary>
    public InputLine Failed(string error) => new(Id, Item.None, Bytes) { Error = error, Share = Share, Digest = Digest };

    /// <summary>Reads a line. Fields that cannot change the texts are ignored, because datasets have many.</summary>
    /// <param name="line">The line.</param>
    /// <param name="names">The fields of an item's parts; null for the usual ones.</param>
    public static InputLine Parse(RawLine line, ItemFields? names = null)
    {
        int bytes = line.Bytes.Length;
        ItemReader reader = new(JsonLine.Fields, names);
        return JsonLine.Read(
            line, (root, id) => new InputLine(id, reader.Read(root, MaxResponses), bytes), (id, error) => Failed(id, error, bytes));
    }
}
