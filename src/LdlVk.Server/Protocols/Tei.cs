using System.Text.Json;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols.Bodies;

namespace LdlVk.Server.Protocols;

/// <summary>
/// Base of the endpoints of text-embeddings-inference. As there, an answer has the sigmoid of the score unless <c>raw_scores</c> is true.
/// A pair of strings is a prompt and a response, to which the model's chat template is applied.
/// </summary>
internal abstract class Tei : Protocol
{
    /// <summary>
    /// The server's own statuses: 413 for too many texts or tokens, 422 for an invalid request, 424 for a failed device, 429 for overload.
    /// </summary>
    public override int StatusOf(RequestException error) => error.Status switch
    {
        422 when error.Errors.Count > 0 => 413,
        >= 500 and not 503 => 424,
        _ => error.Status,
    };

    public override IReadOnlyList<string> ScoreFieldsUsed => ["truncation_direction"];

    public override void WriteError(Utf8JsonWriter json, RequestException error)
    {
        string type = error.Status switch
        {
            429 => "Overloaded",
            503 => "Unhealthy",
            >= 500 => "Backend",
            422 when error.Errors.Count == 0 => "Tokenizer",
            _ => "Validation",
        };
        JsonSerializer.Serialize(
            json, new TeiError { Error = error.Message, ErrorType = type, Errors = error.ErrorsOrNull }, BodyJson.Own.TeiError);
    }

    /// <summary>Returns the raw score, or its sigmoid.</summary>
    protected static float Score(Reward reward, bool raw) => raw ? reward.Score : (float)(1 / (1 + Math.Exp(-(double)reward.Score)));

    /// <summary>
    /// Reads <c>truncate</c>. The tokens are dropped from the middle, so that the end of the response, where the score is read, stays;
    /// unless <c>truncation_direction</c> names a side.
    /// </summary>
    protected static Truncation TruncationOf(JsonElement body)
    {
        Truncation cut = Fields.OptionalString(body, "truncation_direction")?.ToLowerInvariant() switch
        {
            null => Truncation.WithoutMiddle,
            "left" => Truncation.EndThatFits,
            "right" => Truncation.BeginningThatFits,
            _ => throw Fields.Wrong(body.GetProperty("truncation_direction"), "truncation_direction", "\"Left\" or \"Right\""),
        };
        return Fields.Flag(body, "truncate") ? cut : default;
    }

    /// <summary>Throws if a batch is too large, with the message of text-embeddings-inference.</summary>
    protected static void CheckBatch(int texts, int max)
    {
        if (texts > max) throw new RequestException(413, $"batch size {texts} > maximum allowed batch size {max}");
    }
}

/// <summary><c>POST /predict</c>: a text, a pair, or a list of <c>[text]</c> and <c>[prompt, response]</c>.</summary>
internal sealed class TeiPredict : Tei
{
    private const string Shapes =
        "a string, a pair of strings [string, string] or a batch of mixed strings and pairs [[string], [string, string], …]";

    public override string Path => "/predict";

    public override Operation Operation { get; } = new(
        "predict", "text-embeddings-inference", "Score a text, a pair [prompt, response], or a list of those")
    {
        Request = typeof(PredictRequest), Answer = typeof(PredictAnswer), Error = typeof(TeiError), ErrorType = "application/json",
        Example = $$"""
            {"inputs":["Define \"sea\".","A large body of salt water."],"raw_scores":true}
            """,
    };

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        JsonElement inputs = Fields.Get(body, "inputs");
        bool raw = Fields.Flag(body, "raw_scores");
        Truncation truncation = TruncationOf(body);
        bool batch = inputs.ValueKind == JsonValueKind.Array && inputs.GetArrayLength() > 0 && inputs[0].ValueKind == JsonValueKind.Array;
        if (batch)
        {
            CheckBatch(inputs.GetArrayLength(), texts.MaxTexts);
            foreach (JsonElement item in inputs.EnumerateArray())
                Take(item.ValueKind == JsonValueKind.Array ? item : throw Fields.Wrong(item, "inputs", Shapes), texts, truncation);
        }
        else
        {
            Take(inputs, texts, truncation);
        }

        return new Answer.OfAll((json, rewards) =>
        {
            PredictEntry[][] entries = [.. rewards.Select(reward => (PredictEntry[])[new PredictEntry { Score = Score(reward, raw) }])];
            if (batch) JsonSerializer.Serialize(json, entries, BodyJson.Own.PredictEntryArrayArray);
            else JsonSerializer.Serialize(json, entries[0], BodyJson.Own.PredictEntryArray);
        });
    }

    private static void Take(JsonElement item, TextIntake texts, Truncation truncation)
    {
        string[] parts = item.ValueKind switch
        {
            JsonValueKind.String => [item.GetString()!],
            JsonValueKind.Array when item.GetArrayLength() is 1 or 2 =>
                [.. item.EnumerateArray().Select(part => Fields.String(part, "inputs"))],
            _ => throw Fields.Wrong(item, "inputs", Shapes),
        };
        if (parts.Length == 2) texts.Add(new Conversation(parts[0], parts[1]), cut: truncation);
        else texts.AddTemplated(parts[0], cut: truncation);
    }
}

/// <summary>
/// <c>POST /rerank</c>: a query, which is the prompt, and texts, which are the responses; best first. A request with <c>documents</c> is in
/// the format of vLLM, Jina and Cohere (<see cref="Rerank"/>).
/// </summary>
internal sealed class TeiRerank : Tei
{
    public override string Path => "/rerank";

    public override Operation Operation { get; } = new("rerank", "text-embeddings-inference", "Rank responses to a prompt, the best first")
    {
        Request = typeof(AnyRerankRequest), Answer = typeof(AnyRerankAnswer), Error = typeof(AnyRerankError),
        ErrorType = "application/json",
        Example = $$"""
            {"query":"Define \"sea\".","texts":["I cannot help.","A large body of salt water."]}
            """,
    };

    public override IReadOnlyList<Protocol> Alternatives { get; } = [new Rerank()];

    public override Protocol For(JsonElement body) => Rerank.Is(body) && Fields.Find(body, "texts") is null ? Alternatives[0] : this;

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        string query = Fields.String(Fields.Get(body, "query"), "query");
        JsonElement list = Fields.Get(body, "texts");
        if (list.ValueKind == JsonValueKind.Array) CheckBatch(list.GetArrayLength(), texts.MaxTexts);
        if (list.ValueKind == JsonValueKind.String) throw Fields.Wrong(list, "texts", "a list […]");
        List<string> responses = Fields.Strings(list, "texts", texts.MaxTexts);
        if (responses.Count == 0) throw new RequestException(413, "`texts` cannot be empty");
        bool raw = Fields.Flag(body, "raw_scores"), withText = Fields.Flag(body, "return_text");
        Truncation truncation = TruncationOf(body);
        foreach (string response in responses)
        {
            texts.Add(new Conversation(query, response), cut: truncation);
            if (withText) texts.Keep(response);
        }

        List<string>? kept = withText ? responses : null;
        return new Answer.OfAll((json, rewards) =>
        {
            // Ordered by the raw scores: many values of the sigmoid are exactly 1.
            IEnumerable<(int Index, Reward Item)> ranked = rewards.Index().OrderByDescending(r => r.Item.Score);
            RankEntry[] entries =
            [
                .. ranked.Select(
                    r => new RankEntry { Index = r.Index, Text = kept?[r.Index], Score = Score(r.Item, raw) }),
            ];
            JsonSerializer.Serialize(json, entries, BodyJson.Own.RankEntryArray);
        });
    }
}
