using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using LdlVk.Runtime.Formatting;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols.Bodies;

namespace LdlVk.Server.Protocols;

/// <summary>
/// Base of the endpoints of vLLM. Answers always have the raw score: no activation function is applied.
/// </summary>
internal abstract class Vllm : Protocol
{
    /// <summary>The fields that <see cref="ReadInput"/> uses.</summary>
    public static IReadOnlyList<string> InputFields { get; } = ["truncate_prompt_tokens", "truncation_side", "add_special_tokens"];

    public override IReadOnlyList<string> ScoreFieldsUsed => InputFields;

    /// <summary>vLLM reports every invalid field with status 400.</summary>
    public override int StatusOf(RequestException error) => error.Status == 422 ? 400 : error.Status;

    /// <summary>Writes an error in vLLM's format: <c>{"error": {"message", "type", "param", "code"}}</c>.</summary>
    public override void WriteError(Utf8JsonWriter json, RequestException error)
    {
        string type = error.Status switch
        {
            401 or 403 => "Unauthorized",
            429 => "TooManyRequestsError",
            >= 500 => "InternalServerError",
            _ => "BadRequestError",
        };
        VllmErrorBody body = new() { Message = error.Message, Type = type, Code = StatusOf(error), Errors = error.ErrorsOrNull };
        JsonSerializer.Serialize(json, new VllmError { Error = body }, BodyJson.Own.VllmError);
    }

    public override string Word(string name, string value) =>
        name == nameof(OptionName.Truncate) ? "truncate_prompt_tokens" : base.Word(name, value);

    /// <summary>Reads <c>input</c> or <c>messages</c>.</summary>
    protected static void ReadInput(JsonElement body, TextIntake texts)
    {
        if (Fields.Find(body, "messages") is { } messages)
        {
            CheckOneOf(body, "input", "messages");
            texts.Add(new Conversation(Fields.Messages(messages)), cut: TruncationOf(body));
            return;
        }

        OpenAiInput.Read(body, "input", texts);
    }

    /// <summary>
    /// Reads <c>truncate_prompt_tokens</c>: tokens to keep, or -1 for as many as the model takes; at the end, unless
    /// <c>truncation_side</c> is <c>right</c>.
    /// </summary>
    public static Truncation TruncationOf(JsonElement body)
    {
        bool keepsBeginning = Fields.OptionalString(body, "truncation_side") switch
        {
            null or "left" => false,
            "right" => true,
            _ => throw Fields.Wrong(body.GetProperty("truncation_side"), "truncation_side", "\"left\" or \"right\""),
        };
        return Fields.OptionalInteger(body, "truncate_prompt_tokens", -1) switch
        {
            -1 => keepsBeginning ? Truncation.BeginningThatFits : Truncation.EndThatFits,
            > 0 and var keep => keepsBeginning ? Truncation.KeepBeginning(keep) : Truncation.KeepEnd(keep),
            _ => default,
        };
    }

    /// <summary>Refuses what would need a score for each token.</summary>
    /// <param name="body">The request.</param>
    /// <param name="scoresSteps">Whether the model scores steps, which vLLM calls classification of tokens.</param>
    /// <param name="scoresTokens">Whether the model can be read at every token.</param>
    protected static void RefuseOtherTasks(JsonElement body, bool scoresSteps = false, bool scoresTokens = false)
    {
        string? given = Fields.OptionalString(body, "task");
        if (scoresSteps && given is "token_classify") return;
        if (!(scoresTokens && given is "token_classify") && given is { } task and not ("classify" or "score" or "reward"))
            throw Fields.Error(
                task is "token_classify" or "token_embed"
                    ? $"task is {task}, and this model gives one score for a whole text, read at one of its tokens."
                    : $"task is {Readable.Quoted(task)}. There is only classify.");
    }

    /// <summary>
    /// Reads the texts of a field: a string, a list of strings and of objects with <c>text</c>, or an object with a list of parts as
    /// <c>content</c>, each of which is a text.
    /// </summary>
    protected static List<string> Texts(JsonElement body, string name, int max)
    {
        JsonElement value = Fields.Get(body, name);
        if (value.ValueKind == JsonValueKind.Object) value = Fields.Get(value, "content");
        if (value.ValueKind == JsonValueKind.String) return [value.GetString()!];
        Fields.CheckLength(value, name, max);
        List<string> texts = [];
        foreach (JsonElement item in Fields.List(value, name))
        {
            string at = $"{name}[{texts.Count}]";
            if (item.ValueKind != JsonValueKind.Object)
            {
                texts.Add(Fields.String(item, at));
                continue;
            }

            if (Fields.OptionalString(item, "type") is { } type and not "text")
                throw new RequestException(422, $"{at} is a part of type {Readable.Quoted(type)}, and only text can be scored.");
            texts.Add(Fields.String(Fields.Find(item, "text") ?? throw Fields.Error($"{at} has no text."), $"{at}.text"));
        }

        return texts;
    }

    /// <summary>Creates an answer with one entry per text.</summary>
    protected static Answer ListOf<T>(string kind, TextIntake texts, JsonTypeInfo<VllmList<T>> type, Func<int, Reward, T> entry)
    {
        string model = texts.ModelName;
        return new Answer.OfAll((json, rewards) =>
        {
            VllmList<T> list = new()
            {
                Id = NewId(kind), Created = DateTimeOffset.UtcNow.ToUnixTimeSeconds(), Model = model,
                Data = [.. rewards.Select((reward, i) => entry(i, reward))], Usage = Usage.Of(rewards),
            };
            JsonSerializer.Serialize(json, list, type);
        });
    }
}

/// <summary><c>POST /pooling</c>: the score as <c>data[].data</c>, or a list for each step, or for each token.</summary>
internal sealed class VllmPooling : Vllm
{
    public override string Path => "/pooling";

    public override Operation Operation { get; } = new("pool", "vLLM", "Score texts, with each score as data[].data")
    {
        Request = typeof(PoolingRequest), Answer = typeof(VllmList<PoolingEntry>), Error = typeof(VllmError),
        ErrorType = "application/json",
        Example = $$"""
            {"input":"{{Conversation}}"}
            """,
    };

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        StepMarks marks = texts.Model.StepMarks;
        RefuseOtherTasks(body, marks != StepMarks.None, texts.Model.ScoresTokens);
        bool tokens = marks == StepMarks.None && Fields.OptionalString(body, "task") is "token_classify";
        texts.EveryToken = tokens;
        bool base64 = OpenAiInput.WantsBase64(body);
        ReadInput(body, texts);
        // vLLM gives both classes of each step of Qwen's models, and the one number of others.
        return ListOf(
            "pool",
            texts,
            BodyJson.Own.VllmListPoolingEntry,
            (i, reward) => new PoolingEntry
            {
                Index = i,
                Data = new EncodedScore(reward.Score, base64)
                {
                    Steps = tokens ? reward.TokenScores : reward.Steps, IsOfTokens = tokens, HasBothClasses = marks == StepMarks.Token,
                },
            });
    }
}

/// <summary>
/// <c>POST /score</c>: pairs of a prompt and a response, with one prompt for all or one each. The model's chat template is applied.
/// </summary>
internal sealed class VllmScore : Vllm
{
    /// <summary>The names of the two fields in the versions of vLLM.</summary>
    private static readonly (string Prompts, string Responses)[] Names =
        [("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2")];

    public override string Path => "/score";

    public override IReadOnlyList<string> TextFieldsUsed => ["documents"];

    public override Operation Operation { get; } = new(
        "scorePairs", "vLLM", "Score pairs of a prompt and a response, with the model's template")
    {
        Request = typeof(ScoreRequest), Answer = typeof(VllmList<ScoreEntry>), Error = typeof(VllmError), ErrorType = "application/json",
        Example = $$"""
            {"text_1":"Define \"sea\".","text_2":["A large body of salt water."]}
            """,
    };

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        (string first, string second) = Names.FirstOrDefault(
            n => Fields.Find(body, n.Prompts) is not null && Fields.Find(body, n.Responses) is not null);
        if (first is null) throw new RequestException(422, "The fields text_1 (prompts) and text_2 (responses) are missing.");
        string[] all = [.. Names.SelectMany(n => (string[])[n.Prompts, n.Responses]).Distinct()];
        if (all.Except([first, second]).FirstOrDefault(name => Fields.Find(body, name) is not null) is { } other)
            CheckOneOf(body, first, second, other);
        List<string> prompts = Texts(body, first, texts.MaxTexts);
        List<string> responses = Texts(body, second, texts.MaxTexts);
        if (prompts.Count == 0 || responses.Count == 0)
            throw new RequestException(422, $"{(prompts.Count == 0 ? first : second)} is empty.");
        if (prompts.Count != 1 && prompts.Count != responses.Count)
            throw new RequestException(
                422,
                $"{first} has {prompts.Count} items and {second} has {responses.Count}. "
                + $"Give one prompt for all responses, or one for each.");
        Truncation truncation = TruncationOf(body);
        for (int i = 0; i < responses.Count; i++)
            texts.Add(new Conversation(prompts[prompts.Count == 1 ? 0 : i], responses[i]), cut: truncation);
        return ListOf("score", texts, BodyJson.Own.VllmListScoreEntry, (i, reward) => new ScoreEntry { Index = i, Score = reward.Score });
    }
}
