using System.Text.Json;
using LdlVk.Cli.Output;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>ldlvk first-contact: everything a stranger's card can tell, in plain words and one file.</summary>
[Trait("Duration", "Long")]
public sealed class FirstContactTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task One_file_has_the_self_test_the_demo_and_the_bench()
    {
        Outcome run = await RunAsync();
        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Contains("cpu is right.", run.Out, StringComparison.Ordinal);
        Assert.Contains("Demo: its answers score as on the processor", run.Out, StringComparison.Ordinal);
        Assert.Contains("tokens/s", run.Out, StringComparison.Ordinal);
        Assert.Contains("All is right. Everything is in ", run.Out, StringComparison.Ordinal);
        JsonElement file = Read();
        Assert.False(file.TryGetProperty("at", out _));
        JsonElement device = Assert.Single(file.GetProperty("devices").EnumerateArray());
        Assert.True(device.GetProperty("selftest").GetProperty("right").GetBoolean());
        Assert.Equal(0, device.GetProperty("demo_difference").GetDouble());
        Assert.True(Assert.Single(device.GetProperty("bench").EnumerateArray()).GetProperty("tokens_per_second").GetDouble() > 0);
        Assert.Equal(["first-contact.json"], Directory.GetFiles(_folder.Path).Select(Path.GetFileName));
        // It may be sent to strangers.
        Assert.DoesNotContain(_folder.Path, file.GetRawText(), StringComparison.Ordinal);
        Assert.DoesNotContain(Environment.MachineName, file.GetRawText(), StringComparison.Ordinal);
    }

    /// <summary>A run that a driver ended has left a file that says where; the next one says so, and keeps it.</summary>
    [Fact]
    public async Task A_run_that_ended_in_the_middle_is_told_of()
    {
        const string At = "self-test on vulkan:0 (Some Card), driver 1";
        File.WriteAllText(_folder["first-contact.json"], $$"""{"first_contact":1,"at":"{{At}}","devices":[]}""");
        Outcome run = await RunAsync();
        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Contains($"The last run ended at: {At}. This one leaves out matrix units", run.Out, StringComparison.Ordinal);
        Assert.Equal(At, Read().GetProperty("ended_before_at").GetString());
        Assert.Contains(At, File.ReadAllText(_folder["first-contact-ended.json"]), StringComparison.Ordinal);
        Assert.DoesNotContain("The last run", (await RunAsync()).Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("no JSON")]
    [InlineData("[1]")]
    [InlineData("{\"at\":\"of another program\"}")]
    [InlineData("{\"first_contact\":1,\"at\":3}")]
    public void A_file_that_is_no_ended_run_is_replaced(string content)
    {
        File.WriteAllText(_folder["first-contact.json"], content);
        using FirstContactFile file = new(_folder["first-contact.json"]);
        Assert.Null(file.EndedAt);
        Assert.Equal(1, Read().GetProperty("first_contact").GetInt32());
    }

    [Fact]
    public async Task A_folder_that_is_not_there_is_an_error() =>
        (await Cli.RunAsync("first-contact", "--quick", "--device", "cpu", "--output", _folder["no/such/file.json"])).Fails(2, "cannot be written", "--output");

    private Task<Outcome> RunAsync() => Cli.RunAsync("first-contact", "--quick", "--device", "cpu", "--output", _folder["first-contact.json"]);

    private JsonElement Read() => Cli.Json(File.ReadAllText(_folder["first-contact.json"]));
}
