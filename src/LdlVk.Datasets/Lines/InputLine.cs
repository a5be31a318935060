using System.Text.Json;
using LdlVk.Runtime;

namespace LdlVk.Datasets.Lines;

/// <summary>A line of input: one text, several responses to one prompt, or the reason why it is neither.</summary>
internal sealed class InputLine
{
    private const string Forms = "Use messages; prompt and response; prompt and responses; or input_ids.";

    /// <summary>Most responses of one line: their results are held until the line is complete.</summary>
    public const int MostResponses = 10_000;

    private static readonly string[] Fields = ["messages", "prompt", "response", "responses", "input_ids"];

    private InputLine(string id) => Id = id;

    /// <summary>The id as JSON: a string or a number as it was given, or the line's number.</summary>
    public string Id { get; }

    /// <summary>The id as a text.</summary>
    public string Name
    {
        get
        {
            using JsonDocument json = JsonDocument.Parse(Id);
            return json.RootElement.ToString();
        }
    }

    /// <summary>Whether the line has <c>responses</c>, so that its result is a list.</summary>
    public bool HasResponses { get; private init; }

    /// <summary>The prompt, where the line has one.</summary>
    public string? Prompt { get; private init; }

    /// <summary>The texts; none if the line has ids or an error.</summary>
    public IReadOnlyList<Conversation> Conversations { get; private init; } = [];

    /// <summary>The text as token ids; null if it is not given so.</summary>
    public int[]? Ids { get; private init; }

    /// <summary>Why the line cannot be used; null if it can.</summary>
    public string? Error { get; private init; }

    /// <summary>Length of the line in its file.</summary>
    public int Bytes { get; private set; }

    /// <summary>Share of the input that has been read with this line, 0 to 1; null where its size is not known.</summary>
    public double? Share { get; set; }

    /// <summary>The input's digest up to this line, where that is kept account of.</summary>
    public string Digest { get; set; } = "";

    /// <summary>Number of texts to score.</summary>
    public int Texts => Ids is null ? Conversations.Count : 1;

    /// <summary>This line as one that cannot be used.</summary>
    public InputLine Failed(string error) => new(Id) { Error = error, Bytes = Bytes, Share = Share, Digest = Digest };

    /// <summary>A prompt and one or more responses from the command line.</summary>
    public static InputLine Of(string prompt, IReadOnlyList<string> responses) => new("0")
    {
        HasResponses = responses.Count > 1,
        Prompt = prompt,
        Conversations = [.. responses.Select(r => new Conversation(prompt, r))],
    };

    /// <summary>Conversations that were read by others than <see cref="Parse"/>.</summary>
    public static InputLine Of(string id, IReadOnlyList<Conversation> conversations, int bytes) => new(id)
    {
        HasResponses = true,
        Conversations = conversations,
        Bytes = bytes,
    };

    /// <summary>Reads a line. Fields that it does not know are ignored: data sets have many.</summary>
    public static InputLine Parse(RawLine line)
    {
        InputLine parsed = JsonLine.Read(line, Read, (id, error) => new InputLine(id) { Error = error });
        parsed.Bytes = line.Bytes.Length;
        return parsed;
    }

    private static InputLine Read(JsonElement root, string id)
    {
        string[] given = [.. Fields.Where(name => JsonLine.Find(root, name) is not null)];
        return given switch
        {
            ["messages"] => new InputLine(id) { Conversations = [new Conversation(JsonLine.Messages(root.GetProperty("messages")))] },
            ["input_ids"] => new InputLine(id) { Ids = JsonLine.Ids(root.GetProperty("input_ids")) },
            ["prompt", "response"] => WithPrompt(id, root, [JsonLine.String(root.GetProperty("response"), "response")], hasResponses: false),
            ["prompt", "responses"] => WithPrompt(id, root, Responses(root.GetProperty("responses")), hasResponses: true),
            [] => throw new InputException($"the line has none of the known fields. {Forms}"),
            _ => throw new InputException($"the line has {string.Join(" and ", given)}, which {(given.Length == 1 ? "is not enough" : "do not go together")}. {Forms}"),
        };
    }

    private static InputLine WithPrompt(string id, JsonElement root, IReadOnlyList<string> responses, bool hasResponses)
    {
        string prompt = JsonLine.String(root.GetProperty("prompt"), "prompt");
        return new InputLine(id) { HasResponses = hasResponses, Prompt = prompt, Conversations = [.. responses.Select(r => new Conversation(prompt, r))] };
    }

    private static List<string> Responses(JsonElement value)
    {
        int count = JsonLine.Length(value, "responses");
        if (count == 0) throw new InputException("responses is empty.");
        if (count > MostResponses) throw new InputException($"responses has {count} items; at most {MostResponses} go on a line. Split it over several lines.");
        List<string> responses = new(count);
        foreach (JsonElement item in value.EnumerateArray()) responses.Add(JsonLine.String(item, $"responses[{responses.Count}]"));
        return responses;
    }
}
