using System.Text.Json;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;

namespace LdlVk.Server.Protocols;

/// <summary>
/// <c>POST /</c> and <c>/invocations</c>, the one endpoint of SageMaker, of text-embeddings-inference and of vLLM: the fields of a request
/// decide which endpoint it is for, as in those servers.
/// </summary>
/// <param name="path">The path.</param>
internal sealed class Invocations(string path) : Protocol
{
    private static readonly TeiPredict Predict = new();
    private static readonly TeiRerank TeiRanking = new();
    private static readonly Rerank Ranking = new();
    private static readonly VllmScore Scoring = new();
    private static readonly Classify Classification = new();
    private static readonly Rewards Own = new();

    public override string Path => path;

    public override Operation Operation { get; } = new(
        path == "/" ? "invokeAtRoot" : "invoke", "SageMaker", "Score in the format that the request's fields decide")
    {
        Request = typeof(JsonElement), Answer = typeof(JsonElement), Error = typeof(JsonElement),
        ErrorType = "application/json",
        Example = """
            {"inputs":["Define \"sea\".","A large body of salt water."],"raw_scores":true}
            """,
    };

    public override IReadOnlyList<Protocol> Alternatives => [Predict, TeiRanking, Ranking, Scoring, Classification, Own];

    public override Protocol For(JsonElement body)
    {
        if (Has("inputs")) return Predict;
        if (Has("query") && Has("texts")) return TeiRanking;
        if (Has("query") && Has("documents")) return Ranking;
        if (Has("text_1") || Has("queries") || Has("data_1")) return Scoring;
        if (Has("items") || Has("prompt") || Has("response")) return Own;
        return Has("input") || Has("messages") || Has("text") || Has("input_ids") ? Classification : this;

        bool Has(string name) => Fields.Find(body, name) is not null;
    }

    public override Answer Read(JsonElement body, TextIntake texts) => throw new RequestException(
        422,
        "The body has none of the fields of an endpoint: inputs; query and texts or documents; text_1 and text_2; input; messages; items.");

    public override void WriteError(Utf8JsonWriter json, RequestException error) => Classification.WriteError(json, error);

    public override int StatusOf(RequestException error) => Classification.StatusOf(error);
}
