using System.Text.Json;
using LdlVk.Runtime.Model;
using LdlVk.Server.Http;

namespace LdlVk.Server.Protocols;

/// <summary>
/// <c>POST /v1/compare</c> with a prompt and <c>a</c> and <c>b</c>, or <c>responses</c>. <c>margin</c> is by how much the best score exceeds
/// the next, <c>probability</c> = σ(margin) that the best is better than the next (Bradley-Terry); two responses have
/// <c>probability_a_is_better</c> too, as <c>ldlvk compare --json</c>.
/// </summary>
internal sealed class Compare : Protocol
{
    public override string Path => "/v1/compare";

    public override string ErrorType => Problem.ContentType;

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        string prompt = Items.Prompt(body);
        bool pair = Fields.Find(body, "a") is not null || Fields.Find(body, "b") is not null;
        if (pair && Fields.Find(body, "responses") is not null) throw new RequestException(422, "There are a or b and responses, which do not go together.");
        IReadOnlyList<Conversation> conversations = pair
            ? [new(prompt, Fields.String(Fields.Get(body, "a"), "a")), new(prompt, Fields.String(Fields.Get(body, "b"), "b"))]
            : Items.ReadResponses(body, texts.Most).Conversations;
        if (conversations.Count < 2) throw new RequestException(422, "There is one response; to compare takes two or more.");
        foreach (Conversation conversation in conversations) texts.Add(conversation, SpecialTokensOf(body));
        return new Answer.OfAll(Write);
    }

    public override void WriteError(Utf8JsonWriter json, RequestException error) => Problem.Write(json, error);

    private static void Write(Utf8JsonWriter json, Reward[] rewards)
    {
        int best = rewards.Index().MaxBy(r => r.Item.Score).Index;
        double margin = (double)rewards[best].Score - rewards.Where((_, i) => i != best).Max(r => r.Score);
        json.WriteStartObject();
        json.WriteStartArray("scores");
        foreach (Reward reward in rewards) json.WriteNumberValue(reward.Score);
        json.WriteEndArray();
        json.WriteNumber("best", best);
        json.WriteNumber("margin", margin);
        json.WriteNumber("probability", 1 / (1 + Math.Exp(-margin)));
        if (rewards is [var a, var b]) json.WriteNumber("probability_a_is_better", new Comparison(a, b).ProbabilityAIsBetter);
        json.WriteEndObject();
    }
}
