using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Clients.Tests;

/// <summary>Runs the tests of clients/python where there is a Python.</summary>
[Trait("Duration", "Long")]
public sealed class PythonClientTests(Served served)
{
    [Fact]
    public Task Its_tests_pass_against_a_stub() => RunAsync("test_ldlvk.ClientTests");

    /// <summary>Its scores, by the reward functions of all trainers too, have the bits of the library's.</summary>
    [Fact]
    public async Task Its_tests_pass_against_the_server()
    {
        using TempFolder temp = new();
        string cases = temp.Write("cases.jsonl", string.Concat(served.Cases.Select(c => JsonSerializer.Serialize(new
        {
            messages = new[] { new { role = "user", content = c.Prompt }, new { role = "assistant", content = c.Response } },
            text = c.Text, score = c.Score,
        }) + "\n")));
        await RunAsync("test_ldlvk.RealServerTests", ("LDLVK_URL", served.Url), ("LDLVK_API_KEY", Served.Key), ("LDLVK_CASES", cases));
    }

    private static async Task RunAsync(string tests, params (string, string?)[] environment)
    {
        (int status, string output, string error) = await ProcessOutput.OfAsync(
            "python3", ["-B", "-c", $"import os, sys, unittest; os.chdir('clients/python'); sys.path.insert(0, ''); unittest.main('test_ldlvk', argv=['x', '{tests.Split('.')[1]}'])"],
            null, environment);
        if (status == 127) Assert.Skip("There is no python3.");
        Assert.True(status == 0, output + error);
        Assert.Contains("OK", error, StringComparison.Ordinal);
        Assert.DoesNotContain("skipped", error, StringComparison.Ordinal);
    }
}
