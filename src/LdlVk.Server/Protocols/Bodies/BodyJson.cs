using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace LdlVk.Server.Protocols.Bodies;

/// <summary>JSON serialization of request and response bodies.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(JsonElement))]
[JsonSerializable(typeof(string[]))]
[JsonSerializable(typeof(string[][]))]
[JsonSerializable(typeof(int[]))]
[JsonSerializable(typeof(int[][]))]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(FastApiError))]
[JsonSerializable(typeof(VllmError))]
[JsonSerializable(typeof(SgLangError))]
[JsonSerializable(typeof(TeiError))]
[JsonSerializable(typeof(RewardsRequest))]
[JsonSerializable(typeof(MessagesItem))]
[JsonSerializable(typeof(MessagesItemRequest))]
[JsonSerializable(typeof(ResponseItem))]
[JsonSerializable(typeof(ResponseItemRequest))]
[JsonSerializable(typeof(ResponsesItem))]
[JsonSerializable(typeof(ResponsesItemRequest))]
[JsonSerializable(typeof(TokensItem))]
[JsonSerializable(typeof(TokensItemRequest))]
[JsonSerializable(typeof(ItemsRequest))]
[JsonSerializable(typeof(RewardList))]
[JsonSerializable(typeof(CompareRequest))]
[JsonSerializable(typeof(ComparisonAnswer))]
[JsonSerializable(typeof(OpenRlhfRequest))]
[JsonSerializable(typeof(OpenRlhfAnswer))]
[JsonSerializable(typeof(EvaluationRequest))]
[JsonSerializable(typeof(EvaluationAnswer))]
[JsonSerializable(typeof(ClassifyRequest))]
[JsonSerializable(typeof(ClassifyAnswer))]
[JsonSerializable(typeof(PoolingRequest))]
[JsonSerializable(typeof(InputRequest))]
[JsonSerializable(typeof(MessagesRequest))]
[JsonSerializable(typeof(PoolingInputRequest))]
[JsonSerializable(typeof(PoolingMessagesRequest))]
[JsonSerializable(typeof(ScoreRequest))]
[JsonSerializable(typeof(VllmList<ClassifyEntry>))]
[JsonSerializable(typeof(VllmList<PoolingEntry>))]
[JsonSerializable(typeof(VllmList<ScoreEntry>))]
[JsonSerializable(typeof(SgLangTextRequest))]
[JsonSerializable(typeof(SgLangIdsRequest))]
[JsonSerializable(typeof(SgLangEntry[]))]
[JsonSerializable(typeof(EmbeddingsRequest))]
[JsonSerializable(typeof(EmbeddingList))]
[JsonSerializable(typeof(PredictRequest))]
[JsonSerializable(typeof(PredictAnswer))]
[JsonSerializable(typeof(PredictEntry[]))]
[JsonSerializable(typeof(PredictEntry[][]))]
[JsonSerializable(typeof(RerankRequest))]
[JsonSerializable(typeof(RankEntry[]))]
[JsonSerializable(typeof(AnyRerankRequest))]
[JsonSerializable(typeof(AnyRerankAnswer))]
[JsonSerializable(typeof(RerankDocumentsRequest))]
[JsonSerializable(typeof(DocumentTexts))]
[JsonSerializable(typeof(RerankAnswer))]
[JsonSerializable(typeof(AnyRerankError))]
[JsonSerializable(typeof(TokenizeRequest))]
[JsonSerializable(typeof(TokenizeTextRequest))]
[JsonSerializable(typeof(TokenizeMessagesRequest))]
[JsonSerializable(typeof(TokenizeAnswer))]
[JsonSerializable(typeof(DetokenizeRequest))]
[JsonSerializable(typeof(DetokenizeAnswer))]
[JsonSerializable(typeof(ChatRequest))]
[JsonSerializable(typeof(ChatAnswer))]
[JsonSerializable(typeof(RenderRequest))]
[JsonSerializable(typeof(RenderItemsRequest))]
[JsonSerializable(typeof(RenderedList))]
[JsonSerializable(typeof(ServerVersion))]
[JsonSerializable(typeof(SgLangModelInfo))]
[JsonSerializable(typeof(ServerStatus))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(ServerInfo))]
internal sealed partial class BodyJson : JsonSerializerContext
{
    /// <summary>Does not escape non-ASCII letters: browsers never interpret the answers as HTML (nosniff).</summary>
    public static BodyJson Own { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        RespectNullableAnnotations = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
