using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Xunit;

namespace LdlVk.Testing;

/// <summary>The Rust library tokenizers, run by node on what a test makes up.</summary>
public static class ReferenceTokenizers
{
    private static readonly Lazy<(string? Folder, string? WhyNot)> Fetched = new(() => FetchScript.Run("fetch-reference-tokenizers"));

    /// <summary>Why the reference cannot be had; null if it can.</summary>
    public static string? WhyNot => Fetched.Value.Folder is null ? Fetched.Value.WhyNot ?? "" : null;

    /// <summary>The ids of texts by a tokenizer.json, without what it puts around them.</summary>
    public static int[][] Ids(string tokenizerJson, params string[] texts) =>
        [.. Answers([Request("file", JsonValue.Create(tokenizerJson)!, texts)])[0].Select(answer => answer.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()).ToArray())];

    /// <summary>A request about texts.</summary>
    public static JsonObject Request(string kind, JsonNode what, IEnumerable<string> texts) =>
        new() { [kind] = what.DeepClone(), ["texts"] = new JsonArray([.. texts.Select(text => JsonValue.Create(text))]) };

    /// <summary>What the reference answers to requests, in one process: starting one takes longer than most answers.</summary>
    public static JsonElement[][] Answers(IReadOnlyList<JsonObject> requests)
    {
        using Process node = Process.Start(new ProcessStartInfo("node", [Repository.Path("tests", "data", "tokenizer", "reference.cjs"), Fetched.Value.Folder!])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            StandardInputEncoding = new UTF8Encoding(false), StandardOutputEncoding = Encoding.UTF8,
        })!;
        Task<string> output = node.StandardOutput.ReadToEndAsync(), errors = node.StandardError.ReadToEndAsync();
        foreach (JsonObject request in requests) node.StandardInput.Write(request.ToJsonString() + "\n");
        node.StandardInput.Close();
        node.WaitForExit();
        Assert.True(node.ExitCode == 0, errors.Result);
        JsonElement[][] answers =
            [.. output.Result.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => (JsonElement[])[.. JsonDocument.Parse(line).RootElement.EnumerateArray()])];
        Assert.Equal(requests.Count, answers.Length);
        return answers;
    }
}
