using System.Text.Json;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols.Bodies;

namespace LdlVk.Server.Protocols;

/// <summary>
/// vLLM's <c>POST /tokenize</c>: the token ids of a text, or of a conversation with the model's template. As there, a text gets what the
/// tokenizer puts around it (bos, and eos where its files say so) unless <c>add_special_tokens</c> is false, and a conversation gets the
/// opening of the next turn unless <c>add_generation_prompt</c> is false. A text is tokenized as it is: nothing around it is taken off.
/// </summary>
internal sealed class Tokenize : Vllm
{
    public override string Path => "/tokenize";

    public override Operation Operation { get; } = new("tokenize", "vLLM", "Get the token ids of a text or of a conversation")
    {
        Request = typeof(TokenizeRequest), Answer = typeof(TokenizeAnswer), Error = typeof(VllmError), ErrorType = "application/json",
        Example = """
            {"model":"any","prompt":"Hello, my name is"}
            """,
    };

    public override IReadOnlyList<string> TextFieldsUsed => ["add_generation_prompt"];

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        bool withPieces = Fields.Flag(body, "return_token_strs");
        int[] ids = Ids(body, texts);
        TokenizeAnswer answer = new()
        {
            Count = ids.Length,
            MaxModelLen = texts.Model.MaxTokens,
            Tokens = ids,
            TokenStrs = withPieces ? [.. ids.Select(texts.Model.Piece)] : null,
        };
        return new Answer.WithoutScores(json => JsonSerializer.Serialize(json, answer, BodyJson.Own.TokenizeAnswer));
    }

    private static int[] Ids(JsonElement body, TextIntake texts)
    {
        try
        {
            if (Fields.Find(body, "messages") is { } messages)
            {
                CheckOneOf(body, "prompt", "messages");
                Conversation conversation = new(Fields.Messages(messages));
                texts.CheckLength(conversation.Messages.Select(m => m.Content));
                bool opens = Fields.Flag(body, "add_generation_prompt", otherwise: true);
                return texts.Model.Tokenize(conversation, texts.SpecialTokens, opens);
            }

            string text = Fields.String(Fields.Get(body, "prompt"), "prompt");
            texts.CheckLength([text]);
            return texts.Model.Tokenize(text, Fields.Flag(body, "add_special_tokens", otherwise: true));
        }
        catch (LdlVkException e) when (e is InputException or CheckpointException)
        {
            throw new RequestException(422, e.Notice.Say(new Tokenize().Word));
        }
    }
}

/// <summary>vLLM's <c>POST /detokenize</c>: the text of token ids, with its special tokens.</summary>
internal sealed class Detokenize : Vllm
{
    public override string Path => "/detokenize";

    public override Operation Operation { get; } = new("detokenize", "vLLM", "Get the text of token ids")
    {
        Request = typeof(DetokenizeRequest), Answer = typeof(DetokenizeAnswer), Error = typeof(VllmError), ErrorType = "application/json",
        Example = """
            {"model":"any","tokens":[2,108]}
            """,
    };

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        int[] ids = Fields.Ids(Fields.Get(body, "tokens"), "tokens");
        try
        {
            DetokenizeAnswer answer = new() { Prompt = texts.Model.Detokenize(ids) };
            return new Answer.WithoutScores(json => JsonSerializer.Serialize(json, answer, BodyJson.Own.DetokenizeAnswer));
        }
        catch (LdlVkException e) when (e is InputException or CheckpointException)
        {
            throw new RequestException(422, e.Notice.Say(Word));
        }
    }
}
