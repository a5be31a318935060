using System.ClientModel;
using System.Globalization;
using Microsoft.Extensions.AI;
using OpenAI;
using OpenAI.Chat;
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
    public async Task OpenAI_chat_answers_hold_score_and_attributes()
    {
        ChatClient chat = Client().GetChatClient("any");
        foreach (Served.Case c in served.Cases)
        {
            ChatCompletion answer = await chat.CompleteChatAsync(
                [new UserChatMessage(c.Prompt), new AssistantChatMessage(c.Response)], cancellationToken: Cancellation);
            Assert.Equal(c.Score, ScoreOf(Assert.Single(answer.Content).Text));
            Assert.Equal(("reward", c.Score), (answer.ContentTokenLogProbabilities[0].Token, answer.ContentTokenLogProbabilities[0].LogProbability));
            Assert.Equal(22, answer.ContentTokenLogProbabilities.Count - 1);
        }
    }

    [Fact]
    public async Task A_chat_client_of_Microsoft_gives_the_scores()
    {
        using IChatClient chat = Client().GetChatClient("any").AsIChatClient();
        foreach (Served.Case c in served.Cases)
        {
            ChatResponse answer = await chat.GetResponseAsync([new(ChatRole.User, c.Prompt), new(ChatRole.Assistant, c.Response)], cancellationToken: Cancellation);
            Assert.Equal(c.Score, ScoreOf(answer.Text));
        }
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

    private static float ScoreOf(string content)
    {
        Assert.StartsWith("reward:", content, StringComparison.Ordinal);
        return float.Parse(content["reward:".Length..], CultureInfo.InvariantCulture);
    }

    private OpenAIClient Client(string key = Served.Key) =>
        new(new ApiKeyCredential(key), new OpenAIClientOptions { Endpoint = new Uri($"{served.Url}/v1") });
}
