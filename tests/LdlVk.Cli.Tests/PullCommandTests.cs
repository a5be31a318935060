using System.Diagnostics;
using System.Globalization;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary><c>ldlvk pull</c> against a hub on the loopback.</summary>
public sealed class PullCommandTests : IDisposable
{
    private static readonly string Sharded = Repository.Path("tests", "data", "goldens", "b_bf16_sharded");

    private readonly TempFolder _folder = new();
    private readonly FakeHub _hub = new FakeHub().With(Sharded);

    public void Dispose()
    {
        _hub.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_model_comes_with_what_it_needs_and_nothing_else()
    {
        _hub.Files["README.md"] = "#"u8.ToArray();
        _hub.Files["pytorch_model.bin"] = new byte[100];
        Outcome first = await CliAsync("--revision", "refs/pr/1");
        Assert.Equal(("", 0), (first.Error, first.Code));
        Assert.Contains(FakeHub.Commit, first.Out, StringComparison.Ordinal);
        Assert.Null(Folders.Difference(Sharded, _folder["m"], "goldens.json"));
        Assert.All(_hub.Requests, request => Assert.Null(request.Authorization));

        long sent = _hub.BytesSent;
        Outcome second = await CliAsync();
        Assert.Contains("already complete", second.Out, StringComparison.Ordinal);
        Assert.InRange(_hub.BytesSent - sent, 1, 20_000); // the list

        // Of what was changed there only that comes again.
        File.WriteAllText(_folder["m/config.json"], "{}");
        Assert.Equal(0, (await CliAsync()).Code);
        Assert.Null(Folders.Difference(Sharded, _folder["m"], "goldens.json"));

        Assert.Equal(0, (await CliAsync(_folder["n"], "--include", "*.md", "--exclude", "*.safetensors", "--exclude", "model.*")).Code);
        Assert.Equal([".ldlvk-pull.json", "README.md", "config.json", "gating_layer.pt", "regression_layer.pt"], TempFolder.NamesIn(_folder["n"]).Where(name => name != "goldens.json"));
    }

    [Fact]
    public async Task A_token_goes_to_the_hub_alone()
    {
        _hub.Token = "hf_secret";
        (await CliAsync()).Fails(2, "o/m", "accepted its conditions", "--token-file", $"{_hub.Address}/o/m");
        Outcome got = await CliAsync("--token-file", _folder.Write("token", "hf_secret\n"));
        Assert.Equal(0, got.Code);
        Assert.Contains(_hub.Requests, request => !request.IsHub);
        Assert.All(_hub.Requests.Where(request => !request.IsHub), request => Assert.Null(request.Authorization));
        (await CliAsync(_folder["x"], "--token-file", _folder.Write("token", "two words"))).Fails(2, "contains no token");
        (await CliAsync(_folder["x"], "--token-file", _folder["none"])).Fails(2, "no file");
        (await CliAsync(_folder["x"], "--token-file", _folder.Write("token", "wrong"))).Fails(2, "use a token of that account");
        (await Cli.RunAsync("pull", "http://example.org/o/m", _folder["x"], "--token-file", _folder["token"])).Fails(2, "in the clear");
    }

    [Theory]
    [InlineData("../model.safetensors")]
    [InlineData("/etc/model.safetensors")]
    [InlineData("C:model.safetensors")]
    [InlineData("a\\\\..\\\\model.safetensors")]
    [InlineData("a//model.safetensors")]
    [InlineData("model.safetensors\\u0000")]
    public async Task Names_that_leave_the_folder_are_refused(string name)
    {
        _hub.Files[name] = [1];
        (await CliAsync()).Fails(2, "names a file", "not to be trusted");
        Assert.False(Directory.Exists(_folder["m"]));
    }

    [Fact]
    public async Task What_is_wrong_is_said()
    {
        (await CliAsync("--revision", "none")).Fails(2, "o/m", "no revision none");
        (await Cli.RunAsync("pull", "o/other", _folder["m"], "--endpoint", _hub.Address)).Fails(2, "no model o/other", "private or gated", "HF_TOKEN");
        (await Cli.RunAsync("pull", "o/../m", _folder["m"])).Fails(2, "no repository");
        (await Cli.RunAsync("pull", "ftp://h/o/m", _folder["m"])).Fails(2, "no address of a hub");
        (await Cli.RunAsync("pull", $"{_hub.Address}/o", _folder["m"])).Fails(2, "names no repository");
        (await CliAsync("--weights", "int5")).Fails(2, "only fp16, int8, int4");
        _folder.Write("file", "");
        (await CliAsync(_folder["file"])).Fails(2, "is a file");
        Directory.CreateDirectory(_folder["full"]);
        _folder.Write("full/a", "");
        (await CliAsync(_folder["full"])).Fails(2, "not empty", "there is a");
        _hub.Fault = (_, _) => new FakeHub.Answer(200, "<html>"u8.ToArray());
        (await CliAsync()).Fails(2, "did not answer as a hub does");
        _hub.Fault = (_, _) => null;
        _hub.Files.Clear();
        _hub.Files["a.gguf"] = [1];
        (await CliAsync()).Fails(2, "has no model*.safetensors", "a.gguf");
    }

    [Fact]
    public async Task A_folder_of_another_commit_or_kind_is_refused()
    {
        Assert.Equal(0, (await CliAsync()).Code);
        (await CliAsync("--weights", "int8")).Fails(2, "holds the model as it is", "--weights int8");
        string receipt = File.ReadAllText(_folder["m/.ldlvk-pull.json"]);
        File.WriteAllText(_folder["m/.ldlvk-pull.json"], receipt.Replace(FakeHub.Commit, new string('f', 40), StringComparison.Ordinal));
        (await CliAsync()).Fails(2, "holds commit ffff", "--revision ffff");
        File.WriteAllText(_folder["m/.ldlvk-pull.json"], receipt.Replace("/o/m", "/o/n", StringComparison.Ordinal));
        (await CliAsync()).Fails(2, "holds http", "/o/n");
        File.WriteAllText(_folder["m/.ldlvk-pull.json"], "{");
        (await CliAsync()).Fails(2, "is damaged");
    }

    [Fact]
    public async Task Ctrl_C_keeps_what_is_there_and_says_so()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no kill -INT.");
        string last = "model-00003-of-00003.safetensors";
        using ManualResetEventSlim asked = new();
        _hub.Fault = (request, before) =>
        {
            if (request.IsHub || !request.Path.EndsWith(last, StringComparison.Ordinal) || before > 0) return null;
            asked.Set();
            return _hub.Honest(request) with { CutAfter = 2000, Length = _hub.Files[last].Length };
        };
        using Process process = Cli.Start(null, "pull", "o/m", _folder["m"], "--endpoint", _hub.Address);
        Task<string> error = process.StandardError.ReadToEndAsync();
        Assert.True(asked.Wait(TimeSpan.FromSeconds(60)));
        using (Process kill = Process.Start("kill", ["-INT", process.Id.ToString(CultureInfo.InvariantCulture)])) await kill.WaitForExitAsync();
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(130, process.ExitCode);
        Assert.Contains("run the same command again to continue", await error, StringComparison.Ordinal);
        _hub.Fault = (_, _) => null;
        Assert.Equal(0, (await CliAsync(_folder["m"])).Code);
        Assert.Null(Folders.Difference(Sharded, _folder["m"], "goldens.json"));
    }

    private Task<Outcome> CliAsync(params string[] flags) => flags is [{ } folder, ..] && folder[0] != '-'
        ? Cli.RunAsync(["pull", "o/m", folder, "--endpoint", _hub.Address, .. flags[1..]])
        : Cli.RunAsync(["pull", $"{_hub.Address}/o/m", _folder["m"], .. flags]);
}
