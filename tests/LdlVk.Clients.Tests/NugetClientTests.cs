using System.ClientModel;
using Microsoft.Extensions.AI;
using OpenAI;
using OpenAI.Embeddings;
using OpenAI.Models;

namespace LdlVk.Clients.Tests;

/// <summary>OpenAI's package for .NET, and Microsoft.Extensions.AI over it, unmodified: their scores have the bits of the library's.</summary>
public sealed class NugetClientTests(Served served)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task OpenAI_embeddings_hold_the_scores()
    {
        OpenAIEmbeddingCollection answer = await Client().GetEmbeddingClient("any").GenerateEmbeddingsAsync(
            served.Cases.Select(c => c.Text), cancellationToken: Cancellation);
        Assert.Equal(served.Cases.Select(c => c.Score), answer.Select(embedding => Assert.Single(embedding.ToFloats().ToArray())));
        Assert.True(answer.Usage.InputTokenCount > 0);
    }

    [Fact]
    public async Task An_embedding_generator_gives_the_scores()
    {
        using IEmbeddingGenerator<string, Embedding<float>> generator = Client().GetEmbeddingClient("any").AsIEmbeddingGenerator();
        GeneratedEmbeddings<Embedding<float>> answer = await generator.GenerateAsync(served.Cases.Select(c => c.Text), cancellationToken: Cancellation);
        Assert.Equal(served.Cases.Select(c => c.Score), answer.Select(embedding => Assert.Single(embedding.Vector.ToArray())));
    }

    [Fact]
    public async Task The_model_is_found()
    {
        OpenAIModelClient models = Client().GetOpenAIModelClient();
        OpenAIModelCollection all = await models.GetModelsAsync(Cancellation);
        Assert.Equal("mini", Assert.Single(all).Id);
        OpenAIModel one = await models.GetModelAsync("mini", Cancellation);
        Assert.Equal("ldlvk", one.OwnedBy);
    }

    [Fact]
    public async Task A_wrong_key_is_an_error_of_the_client()
    {
        ClientResultException error = await Assert.ThrowsAsync<ClientResultException>(
            () => Client("a-wrong-key").GetEmbeddingClient("any").GenerateEmbeddingAsync("text", cancellationToken: Cancellation));
        Assert.Equal(401, error.Status);
    }

    private OpenAIClient Client(string key = Served.Key) =>
        new(new ApiKeyCredential(key), new OpenAIClientOptions { Endpoint = new Uri($"{served.Url}/v1") });
}
