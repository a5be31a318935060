using System.Text.Json;
using LdlVk.Datasets.Items;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols.Bodies;

namespace LdlVk.Server.Protocols;

/// <summary>
/// LdlVk's own protocol: <c>POST /v1/rewards</c> with one item or <c>{"items":[…]}</c>. The answer has, for each text, a reward or the
/// reason why there is none. The request fails only if no text has a reward.
/// </summary>
internal sealed class Rewards : Protocol
{
    /// <summary>The position of a text: index and id of its item, and its index among the item's responses.</summary>
    private readonly record struct Place(int Item, string? Id, int? Response);

    public override string Path => "/v1/rewards";

    public override Operation Operation { get; } = new("score", "LdlVk", "Score texts")
    {
        Request = typeof(RewardsRequest), Answer = typeof(RewardList),
        Example = $$"""
            {"prompt":"Define \"sea\".","responses":["A large body of salt water.","I cannot help."],"details":true}
            """,
    };

    /// <summary>The reader of items checks them.</summary>
    public override IReadOnlyList<string>? TextFieldsUsed => null;

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        bool details = Fields.Flag(body, "details");
        List<Place> places = [];
        bool many = Fields.Find(body, "items") is not null;
        if (many)
        {
            JsonElement items = body.GetProperty("items");
            Fields.CheckLength(items, "items", texts.MaxTexts);
            int number = 0;
            foreach (JsonElement item in Fields.List(items, "items")) Take(item, number++);
            if (number == 0) throw new RequestException(422, "items is empty.");
        }
        else
        {
            Take(body, 0);
        }

        string model = texts.ModelName;
        return new Answer.OfEach((json, results) => Write(json, model, many, details, places, results));

        void Take(JsonElement item, int number)
        {
            string? id = null;
            try
            {
                id = Fields.Id(item);
                if (id is not null) texts.Keep(id);
                if (many) RefuseSpecialTokens(item);
                Item read = Items.Read(item, texts.MaxTexts);
                if (read.Ids is not null || read.Templated is not null)
                {
                    if (read.Ids is { } ids) texts.Add(ids, steps: read.StepPositions);
                    else texts.AddTemplated(read.Templated!);
                    places.Add(new Place(number, id, null));
                }

                for (int i = 0; i < read.Conversations.Count; i++)
                {
                    texts.Add(read.Conversations[i]);
                    places.Add(new Place(number, id, read.HasResponses ? i : null));
                }
            }
            catch (RequestException e) when (e.Status == 422)
            {
                texts.AddError(e.Message);
                places.Add(new Place(number, id, null));
            }
        }
    }

    public override void WriteError(Utf8JsonWriter json, RequestException error) =>
        JsonSerializer.Serialize(json, Problem.Of(error), BodyJson.Own.Problem);

    private void Write(Utf8JsonWriter json, string model, bool many, bool details, List<Place> places, ScoreResult[] results)
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteString("model", model);
        json.WriteStartArray("data");
        for (int i = 0; i < results.Length; i++)
        {
            Place place = places[i];
            json.WriteStartObject();
            json.WriteNumber("index", i);
            if (place.Id is { } id) RewardJson.WriteId(json, id);
            if (many) json.WriteNumber("item", place.Item);
            if (place.Response is { } response) json.WriteNumber("response", response);
            if (results[i].Reward is { } reward) RewardJson.Write(json, reward, details);
            else WriteError(json, results[i].Error!.Say(Word));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        if (results is [{ Reward: { } only }]) json.WriteNumber("score", only.Score);
        json.WritePropertyName("usage");
        JsonSerializer.Serialize(json, Usage.Of(results.Where(r => r.Reward is not null).Select(r => r.Reward!)), BodyJson.Own.Usage);
        json.WriteEndObject();
    }

    private static void WriteError(Utf8JsonWriter json, string message)
    {
        json.WriteStartObject("error");
        json.WriteString("message", message);
        json.WriteEndObject();
    }
}
