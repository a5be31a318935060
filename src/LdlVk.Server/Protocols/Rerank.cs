using System.Text.Json;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols.Bodies;

namespace LdlVk.Server.Protocols;

/// <summary>
/// <c>POST /v1/rerank</c> and <c>/v2/rerank</c> of vLLM, Jina and Cohere: a query, which is the prompt, and documents, which are the
/// responses; best first. As on vLLM's other endpoints, the score is the raw one.
/// </summary>
internal sealed class Rerank : Vllm
{
    public override string Path => "/v1/rerank";

    public override Operation Operation { get; } = new(
        "rerankDocuments", "vLLM", "Rank documents, which are responses, for a query, the prompt")
    {
        Request = typeof(RerankDocumentsRequest), Answer = typeof(RerankAnswer), Error = typeof(VllmError), ErrorType = "application/json",
        Example = $$"""
            {"model":"any","query":"Define \"sea\".","documents":["I cannot help.","A large body of salt water."],"top_n":1}
            """,
    };

    /// <summary>Whether a request is in this format.</summary>
    public static bool Is(JsonElement body) => Fields.Find(body, "documents") is not null;

    public override IReadOnlyList<string> TextFieldsUsed => ["documents"];

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        CheckOneOf(body, "documents", "texts");
        string query = Texts(body, "query", texts.MaxTexts) is [var only]
            ? only
            : throw new RequestException(422, "query is a list of several texts; one is ranked for.");
        List<string> documents = Texts(body, "documents", texts.MaxTexts);
        if (documents.Count == 0) throw new RequestException(422, "documents is empty.");
        int top = Fields.OptionalInteger(body, "top_n", 0) is > 0 and var given ? given : documents.Count;
        bool withDocuments = Fields.Flag(body, "return_documents", otherwise: true);
        Truncation truncation = TruncationOf(body);
        foreach (string document in documents)
        {
            texts.Add(new Conversation(query, document), cut: truncation);
            if (withDocuments) texts.Keep(document);
        }

        string model = texts.ModelName;
        List<string>? kept = withDocuments ? documents : null;
        return new Answer.OfAll((json, rewards) =>
        {
            RerankAnswer answer = new()
            {
                Id = NewId("rerank"),
                Model = model,
                Usage = Usage.Of(rewards),
                Results =
                [
                    .. rewards.Index().OrderByDescending(r => r.Item.Score).Take(top).Select(r => new RerankResult
                    {
                        Index = r.Index,
                        Document = kept is null ? null : new RerankDocument { Text = kept[r.Index] },
                        RelevanceScore = r.Item.Score,
                    }),
                ],
            };
            JsonSerializer.Serialize(json, answer, BodyJson.Own.RerankAnswer);
        });
    }
}
