using System.Globalization;
using System.Text.Json;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols.Bodies;

namespace LdlVk.Server.Protocols;

/// <summary>
/// <c>POST /v1/chat/completions</c> in the form in which reward services answer (NVIDIA's NIM): the conversation ends with the response,
/// the answer's content is <c>reward:SCORE</c>, and <c>logprobs.content</c> has the score and each attribute's sub-score under its name.
/// </summary>
internal sealed class ChatCompletions : Vllm
{
    public override string Path => "/v1/chat/completions";

    public override Operation Operation { get; } = new(
        "completeChat", "OpenAI", "Score a conversation, in the form in which reward services answer")
    {
        Request = typeof(ChatRequest), Answer = typeof(ChatAnswer), Error = typeof(VllmError), ErrorType = "application/json",
        Example = """
            {"model":"any","messages":[{"role":"user","content":"Define \"sea\"."},{"role":"assistant","content":"A body of salt water."}]}
            """,
    };

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        if (Fields.Flag(body, "stream")) throw Fields.Error("stream is true, and a score comes in one piece. Leave stream away.");
        if (Fields.OptionalInteger(body, "n", 1) > 1) throw Fields.Error("n asks for several answers, and there is one score.");
        Conversation conversation = new(Fields.Messages(Fields.Get(body, "messages")));
        if (conversation.Messages is not [.., { Role: "assistant" or "model" }])
            throw Fields.Error("The last message is not the assistant's. This model writes no answers: it scores the last message.");
        texts.Add(conversation, cut: TruncationOf(body));
        string model = texts.ModelName;
        IReadOnlyList<string> attributes = texts.Model.AttributeNames;
        return new Answer.OfAll((json, rewards) =>
            JsonSerializer.Serialize(json, AnswerOf(rewards[0], model, attributes), BodyJson.Own.ChatAnswer));
    }

    private static ChatAnswer AnswerOf(Reward reward, string model, IReadOnlyList<string> attributes)
    {
        List<ChatScore> scores = [new ChatScore { Token = "reward", Logprob = reward.Score }];
        for (int a = 0; reward.HasAttributes && a < reward.Attributes; a++)
            scores.Add(new ChatScore { Token = attributes[a], Logprob = reward.AttributeScore(a) });
        return new ChatAnswer
        {
            Id = NewId("chatcmpl"),
            Created = Now,
            Model = model,
            Choices =
            [
                new ChatChoice
                {
                    Message = new ChatMessage
                    {
                        Role = "assistant",
                        Content = string.Create(CultureInfo.InvariantCulture, $"reward:{reward.Score}"),
                    },
                    Logprobs = new ChatLogprobs { Content = scores },
                },
            ],
            Usage = new ChatUsage
            {
                PromptTokens = reward.Tokens, TotalTokens = reward.Tokens,
                PromptTokensDetails = new PromptTokensDetails { CachedTokens = reward.CachedTokens },
            },
        };
    }
}
