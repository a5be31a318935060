using System.Text.Json;
using LdlVk.Datasets.Items;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols.Bodies;

namespace LdlVk.Server.Protocols;

/// <summary>
/// <c>POST /v1/compare</c> with a prompt and either <c>a</c> and <c>b</c>, or <c>responses</c>. <c>margin</c> is the best score minus the
/// second best. <c>probability</c> = σ(margin) is the probability that the best response is better than the second best (Bradley-Terry).
/// </summary>
internal sealed class Compare : Protocol
{
    public override string Path => "/v1/compare";

    public override Operation Operation { get; } = new("compare", "LdlVk", "Find the best of several responses")
    {
        Request = typeof(CompareRequest), Answer = typeof(ComparisonAnswer),
        Example = $$"""
            {"prompt":"Define \"sea\".","a":"A large body of salt water.","b":"I cannot help."}
            """,
    };

    /// <summary>The reader of items checks them.</summary>
    public override IReadOnlyList<string>? TextFieldsUsed => null;

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        Item item = Fields.Find(body, "a") is not null || Fields.Find(body, "b") is not null
            ? Items.ReadTwo(body, "a", "b")
            : Items.Read(body, texts.MaxTexts);
        IReadOnlyList<Conversation> conversations = item.Conversations;
        if (conversations.Count < 2) throw new RequestException(422, "There is one response; to compare takes two or more.");
        foreach (Conversation conversation in conversations) texts.Add(conversation);
        return new Answer.OfAll(Write);
    }

    public override void WriteError(Utf8JsonWriter json, RequestException error) =>
        JsonSerializer.Serialize(json, Problem.Of(error), BodyJson.Own.Problem);

    private static void Write(Utf8JsonWriter json, Reward[] rewards)
    {
        int best = rewards.Index().MaxBy(r => r.Item.Score).Index;
        double margin = (double)rewards[best].Score - rewards.Where((_, i) => i != best).Max(r => r.Score);
        ComparisonAnswer answer = new()
        {
            Scores = [.. rewards.Select(r => r.Score)],
            Best = best,
            Margin = margin,
            Probability = 1 / (1 + Math.Exp(-margin)),
        };
        JsonSerializer.Serialize(json, answer, BodyJson.Own.ComparisonAnswer);
    }
}
