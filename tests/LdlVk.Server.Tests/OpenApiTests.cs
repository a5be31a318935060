using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using LdlVk.Server.Http;
using LdlVk.Testing;
using Microsoft.AspNetCore.Routing;

namespace LdlVk.Server.Tests;

/// <summary>The description of the endpoints, which is generated from their types: it names each of them, and what they answer conforms to it.</summary>
public class OpenApiTests(Mini mini)
{
    private const string Redocly = "@redocly/cli@2.37.0";

    [Fact]
    public async Task Every_endpoint_is_described_and_nothing_else()
    {
        await using Api api = await Api.StartAsync(mini);
        JsonElement paths = (await api.GetAsync("openapi.json")).Ok.GetProperty("paths");
        string[] described = [.. paths.EnumerateObject().SelectMany(p => p.Value.EnumerateObject().Select(m => $"{m.Name.ToUpperInvariant()} {p.Name}")).Order(StringComparer.Ordinal)];
        string[] mapped = [.. api.Server.Endpoints.SelectMany(s => s.Endpoints).OfType<RouteEndpoint>()
            .SelectMany(e => e.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Where(m => m != "HEAD").Select(m => $"{m} {e.RoutePattern.RawText!.Replace("{**", "{", StringComparison.Ordinal)}")).Order(StringComparer.Ordinal)];
        Assert.Equal(mapped, described);
    }

    [Fact]
    public async Task Every_example_is_answered_with_the_fields_described()
    {
        await using Api api = await Api.StartAsync(mini);
        JsonElement document = (await api.GetAsync("openapi.json")).Ok;
        foreach (JsonProperty path in document.GetProperty("paths").EnumerateObject())
        {
            if (!path.Value.TryGetProperty("post", out JsonElement post)) continue;
            JsonElement request = post.GetProperty("requestBody").GetProperty("content").GetProperty("application/json");
            JsonElement example = request.GetProperty("example");
            Conforms(document, example, request.GetProperty("schema"), $"{path.Name}'s example");
            Conforms(document, (await api.PostAsync(path.Name, example.GetRawText())).Ok, SchemaOf(post, 200), path.Name);
        }
    }

    [Fact]
    public async Task Other_forms_of_requests_and_answers_are_described_too()
    {
        await using Api api = await Api.StartAsync(mini);
        JsonElement document = (await api.GetAsync("openapi.json")).Ok;
        string[] many = ["a", "b"];
        int[] ids = [2, 3];
        (string Path, object Body)[] requests =
        [
            ("/classify", new { text = "a" }), ("/classify", new { text = many }), ("/classify", new { input_ids = ids }), ("/classify", new { input = many }),
            ("/classify", new { messages = new[] { new { role = "user", content = "a" }, new { role = "assistant", content = "b" } } }),
            ("/pooling", new { input = ids, encoding_format = "base64" }), ("/v1/embeddings", new { input = "a", encoding_format = "base64" }),
            ("/predict", new { inputs = "a" }), ("/predict", new { inputs = new[] { new[] { "a" }, many } }), ("/rerank", new { query = "a", texts = many, return_text = true }),
            ("/rerank", new { query = "a", documents = many }), ("/v2/rerank", new { model = "m", query = "a", documents = new object[] { "a", new { text = "b" } }, return_documents = false }),
            ("/tokenize", new { messages = new[] { new { role = "user", content = "a" } }, add_generation_prompt = false, return_token_strs = true }), ("/detokenize", new { tokens = ids }),
            ("/", new { inputs = "a" }), ("/invocations", new { text_1 = "a", text_2 = many }), ("/invocations", new { query = "a", texts = many }), ("/invocations", new { query = "a", documents = many }),
            ("/invocations", new { input = many }), ("/invocations", new { text = "a" }), ("/invocations", new { prompt = "a", response = "b" }),
            ("/render", new { items = new object[] { new { prompt = "a", responses = many }, new { input_ids = ids } }, ids = true }),
            ("/v1/compare", new { prompt = "a", responses = new[] { "a", "b", "c" } }), ("/v1/rewards", new { input_ids = ids }),
            ("/v1/rewards", new { items = new object[] { new { id = "x", prompt = "a", response = "b" }, new { id = 2, input_ids = new[] { 1 << 20 } } }, details = true }),
        ];
        foreach ((string path, object body) in requests)
        {
            JsonElement post = document.GetProperty("paths").GetProperty(path).GetProperty("post");
            Conforms(document, JsonSerializer.SerializeToElement(body), post.GetProperty("requestBody").GetProperty("content").GetProperty("application/json").GetProperty("schema"), $"{path}'s request");
            Conforms(document, (await api.PostAsync(path, body)).Ok, SchemaOf(post, 200), path);
        }

        foreach (string path in (string[])["/v1/models", "/info", "/health", "/ready", "/ping", "/version", "/health_generate", "/get_model_info"])
            Conforms(document, (await api.GetAsync(path)).Ok, SchemaOf(document.GetProperty("paths").GetProperty(path).GetProperty("get"), 200), path);
    }

    [Fact]
    public async Task Every_error_is_as_described()
    {
        await using Api api = await Api.StartAsync(mini);
        JsonElement document = (await api.GetAsync("openapi.json")).Ok;
        string tooLong = string.Concat(Enumerable.Repeat("word ", 9000));
        foreach (var protocol in RewardServer.Protocols)
        {
            JsonElement post = document.GetProperty("paths").GetProperty(protocol.Path).GetProperty("post");
            object wrong = new { query = tooLong, input = tooLong, text_1 = tooLong, text_2 = tooLong, inputs = tooLong, texts = new[] { tooLong }, messages = new[] { tooLong }, prompt = tooLong, a = "a", b = "b" };
            foreach (object body in (object[])["{", new { }, wrong])
            {
                Reply reply = await api.PostAsync(protocol.Path, body);
                Assert.InRange(reply.Status, 400, 499);
                Conforms(document, reply.Json, SchemaOf(post, reply.Status), $"{protocol.Path} {reply.Status}");
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

    /// <summary>By the rules that Redocly recommends: operation ids, security, servers and licence among them.</summary>
    [Fact]
    public async Task It_is_valid_OpenAPI()
    {
        await using Api api = await Api.StartAsync(mini);
        string folder = Directory.CreateTempSubdirectory("ldlvk-openapi-").FullName;
        try
        {
            string file = Path.Combine(folder, "openapi.json");
            await File.WriteAllTextAsync(file, (await api.GetAsync("openapi.json")).Text);
            string tool = Repository.Path(".cache", "redocly");
            if (!Directory.Exists(Path.Combine(tool, "node_modules", "@redocly", "cli")))
            {
                (int installed, string said) = await RunAsync("npm", Path.GetTempPath(), "install", "--no-audit", "--no-fund", "--prefix", tool, Redocly);
                if (installed != 0) Assert.Skip($"npm cannot install {Redocly}: {said[..Math.Min(said.Length, 500)]}");
            }

            (int code, string findings) = await RunAsync("node", folder, Path.Combine(tool, "node_modules", "@redocly", "cli", "bin", "cli.js"), "lint", "--max-problems=50", file);
            Assert.True(code == 0 && !findings.Contains("warning", StringComparison.Ordinal), findings);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Runs a program and returns its exit code and what it wrote; skips the test where there is no such program.</summary>
    private static async Task<(int Code, string Output)> RunAsync(string program, string folder, params string[] arguments)
    {
        ProcessStartInfo start = new(OperatingSystem.IsWindows() && program == "npm" ? "npm.cmd" : program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["REDOCLY_TELEMETRY"] = "off";
        start.Environment["REDOCLY_SUPPRESS_UPDATE_NOTICE"] = "true";
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(180));
            return (process.ExitCode, await output + await error);
        }
        catch (Win32Exception)
        {
            Assert.Skip($"There is no {program}.");
            throw;
        }
    }

    private static JsonElement SchemaOf(JsonElement operation, int status) =>
        operation.GetProperty("responses").GetProperty($"{status}").GetProperty("content").EnumerateObject().Single().Value.GetProperty("schema");

    private static void Conforms(JsonElement document, JsonElement value, JsonElement schema, string at) => Assert.Null(Difference(document, value, schema, at));

    /// <summary>The first place where a value is not as a schema says, or has a field that it does not name; null if there is none.</summary>
    private static string? Difference(JsonElement document, JsonElement value, JsonElement schema, string at, HashSet<string>? known = null)
    {
        if (schema.TryGetProperty("$ref", out JsonElement reference))
            return Difference(document, value, document.GetProperty("components").GetProperty("schemas").GetProperty(reference.GetString()!.Split('/')[^1]), at, known);
        if (schema.TryGetProperty("type", out JsonElement type))
        {
            string[] types = type.ValueKind == JsonValueKind.Array ? [.. type.EnumerateArray().Select(t => t.GetString()!)] : [type.GetString()!];
            if (!types.Any(t => IsOf(value, t))) return $"{at} is {value.ValueKind}, not {string.Join(" or ", types)}.";
        }

        if (schema.TryGetProperty("const", out JsonElement only) && only.GetString() != value.GetString()) return $"{at} is not {only}.";
        if (schema.TryGetProperty("enum", out JsonElement some) && !some.EnumerateArray().Any(s => s.GetString() == value.GetString())) return $"{at} is none of {some}.";
        if (schema.TryGetProperty("items", out JsonElement items) && value.ValueKind == JsonValueKind.Array)
        {
            foreach ((int i, JsonElement item) in value.EnumerateArray().Index())
                if (Difference(document, item, items, $"{at}[{i}]") is { } wrong) return wrong;
        }

        HashSet<string> names = [.. known ?? [], .. schema.TryGetProperty("properties", out JsonElement properties) ? properties.EnumerateObject().Select(p => p.Name) : []];
        if (schema.TryGetProperty("oneOf", out JsonElement alternatives))
        {
            string?[] differences = [.. alternatives.EnumerateArray().Select(a => Difference(document, value, a, at, names))];
            if (differences.All(d => d is not null)) return string.Join(" | ", differences);
            names = [];
        }

        if (value.ValueKind != JsonValueKind.Object) return null;
        if (schema.TryGetProperty("required", out JsonElement required) && required.EnumerateArray().FirstOrDefault(r => !value.TryGetProperty(r.GetString()!, out _)) is { ValueKind: JsonValueKind.String } missing)
            return $"{at} has no {missing}.";
        foreach (JsonProperty field in value.EnumerateObject())
        {
            if (properties.ValueKind == JsonValueKind.Object && properties.TryGetProperty(field.Name, out JsonElement described))
            {
                if (Difference(document, field.Value, described, $"{at}.{field.Name}") is { } wrong) return wrong;
            }
            else if (names.Count > 0 && !names.Contains(field.Name))
            {
                return $"{at}.{field.Name} is not described.";
            }
        }

        return null;
    }

    private static bool IsOf(JsonElement value, string type) => type switch
    {
        "null" => value.ValueKind == JsonValueKind.Null,
        "string" => value.ValueKind == JsonValueKind.String,
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
        "number" => value.ValueKind == JsonValueKind.Number,
        "array" => value.ValueKind == JsonValueKind.Array,
        "object" => value.ValueKind == JsonValueKind.Object,
        _ => false,
    };
}
