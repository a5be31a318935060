using System.Text.Json;
using LdlVk.Datasets.Items;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols.Bodies;

namespace LdlVk.Server.Protocols;

/// <summary>
/// <c>POST /render</c> with one item or <c>{"items":[…]}</c>, as <c>/v1/rewards</c> takes them: the text of each as the model reads it,
/// with its template and special tokens; with <c>ids</c> also its token ids and the position at which the score is read.
/// </summary>
internal sealed class Render : Protocol
{
    public override string Path => "/render";

    public override Operation Operation { get; } = new("render", "LdlVk", "Get texts as the model reads them")
    {
        Request = typeof(RenderRequest), Answer = typeof(RenderedList),
        Example = """
            {"prompt":"Define \"sea\".","response":"A large body of salt water."}
            """,
    };

    /// <summary>The reader of items checks them.</summary>
    public override IReadOnlyList<string>? TextFieldsUsed => null;

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        bool withIds = Fields.Flag(body, "ids");
        List<RenderedText> rendered = [];
        if (Fields.Find(body, "items") is { } items)
        {
            Fields.CheckLength(items, "items", texts.MaxTexts);
            foreach (JsonElement item in Fields.List(items, "items")) Add(item, ofMany: true);
        }
        else
        {
            Add(body);
        }

        TextError[] errors = [.. rendered.Where(r => r.Error is not null).Select(r => new TextError(r.Index, r.Error!.Message))];
        if (errors.Length == rendered.Count)
            throw errors.Length > 0 ? RequestException.For(errors, errors.Length) : new RequestException(422, "items is empty.");
        RenderedList answer = new() { Model = texts.ModelName, Data = rendered };
        return new Answer.WithoutScores(json => JsonSerializer.Serialize(json, answer, BodyJson.Own.RenderedList));

        void Add(JsonElement body, bool ofMany = false)
        {
            try
            {
                if (ofMany) RefuseSpecialTokens(body);
                Item item = Items.Read(body, texts.MaxTexts);
                if (item.Ids is { } ids) One(null, () => new TokenizedText(ids) { Steps = item.StepPositions });
                else if (item.Templated is { } text) One(texts.Model.Complete(text), () => texts.Model.EncodeTemplated(text));
                foreach (Conversation conversation in item.Conversations)
                    One(texts.Model.Render(conversation), () => texts.Model.Encode(conversation, texts.SpecialTokens));
            }
            catch (RequestException e) when (e.Status == 422)
            {
                rendered.Add(new RenderedText { Index = rendered.Count, Error = new RewardError { Message = e.Message } });
            }
            catch (LdlVkException e) when (e is InputException or CheckpointException)
            {
                rendered.Add(new RenderedText { Index = rendered.Count, Error = new RewardError { Message = e.Notice.Say(Word) } });
            }
        }

        void One(string? text, Func<TokenizedText> tokenize)
        {
            if (text is not null) texts.CheckLength([text]);
            TokenizedText? tokens = withIds ? tokenize() : null;
            if (tokens is { Error: { } error }) throw new InputException(error);
            IReadOnlyList<int>? reads = tokens is { Ids.Length: > 0 } given ? texts.Model.ReadPositions(given) : null;
            bool hasSteps = texts.Model.StepMarks != StepMarks.None;
            rendered.Add(new RenderedText
            {
                Index = rendered.Count, Text = text, Ids = tokens?.Ids, Position = reads?[^1],
                GatePosition = hasSteps || reads is not [var gate, _] ? null : gate, StepPositions = hasSteps ? reads : null,
            });
        }
    }

    public override void WriteError(Utf8JsonWriter json, RequestException error) =>
        JsonSerializer.Serialize(json, Problem.Of(error), BodyJson.Own.Problem);
}
