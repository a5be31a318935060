using System.Text.Json;
using LdlVk.Server.Http;
using Microsoft.AspNetCore.Routing;

namespace LdlVk.Server.Tests;

/// <summary>The description of the endpoints is written by hand, and kept true here.</summary>
public class OpenApiTests(Mini mini)
{
    [Fact]
    public async Task Every_endpoint_is_described_and_nothing_else()
    {
        await using Api api = await Api.StartAsync(mini);
        JsonElement paths = (await api.GetAsync("openapi.json")).Ok.GetProperty("paths");
        string[] described = [.. paths.EnumerateObject().SelectMany(p => p.Value.EnumerateObject().Select(m => $"{m.Name.ToUpperInvariant()} {p.Name}")).Order(StringComparer.Ordinal)];
        string[] mapped = [.. api.Server.Endpoints.SelectMany(s => s.Endpoints).OfType<RouteEndpoint>()
            .SelectMany(e => e.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Where(m => m != "HEAD").Select(m => $"{m} {e.RoutePattern.RawText}")).Order(StringComparer.Ordinal)];
        Assert.Equal(mapped, described);
    }

    [Fact]
    public async Task Every_example_is_answered_with_the_fields_described()
    {
        await using Api api = await Api.StartAsync(mini);
        foreach (JsonProperty path in (await api.GetAsync("openapi.json")).Ok.GetProperty("paths").EnumerateObject())
        {
            if (!path.Value.TryGetProperty("post", out JsonElement post)) continue;
            JsonElement example = post.GetProperty("requestBody").GetProperty("content").GetProperty("application/json").GetProperty("example");
            JsonElement answer = (await api.PostAsync(path.Name, example.GetRawText())).Ok;
            JsonElement schema = post.GetProperty("responses").GetProperty("200").GetProperty("content").GetProperty("application/json").GetProperty("schema");
            if (schema.TryGetProperty("oneOf", out JsonElement one)) schema = one[0];
            Check(answer, schema, path.Name);
        }

        static void Check(JsonElement value, JsonElement schema, string at)
        {
            if (schema.TryGetProperty("items", out JsonElement items) && value.ValueKind == JsonValueKind.Array)
                foreach (JsonElement item in value.EnumerateArray()) Check(item, items, at + "[]");
            if (value.ValueKind != JsonValueKind.Object || !schema.TryGetProperty("properties", out JsonElement properties)) return;
            foreach (JsonProperty field in value.EnumerateObject())
            {
                Assert.True(properties.TryGetProperty(field.Name, out JsonElement described), $"{at}.{field.Name} is not described.");
                Check(field.Value, described, $"{at}.{field.Name}");
            }
        }
    }

    [Fact]
    public async Task Every_status_that_a_protocol_gives_is_described()
    {
        await using Api api = await Api.StartAsync(mini);
        JsonElement paths = (await api.GetAsync("openapi.json")).Ok.GetProperty("paths");
        foreach (var protocol in RewardServer.Protocols)
        {
            JsonElement described = paths.GetProperty(protocol.Path).GetProperty("post").GetProperty("responses");
            foreach (int status in (int[])[400, 401, 403, 413, 422, 429, 503])
                Assert.True(described.TryGetProperty($"{protocol.StatusOf(new RequestException(status, ""))}", out _), $"{protocol.Path} {status}");
        }
    }
}
