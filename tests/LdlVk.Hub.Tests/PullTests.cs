using System.Diagnostics;
using System.Globalization;
using LdlVk.Cli.Hub;
using LdlVk.Cli.Output;
using LdlVk.Runtime.Conversion;
using LdlVk.Runtime.Devices;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests.Hub;

/// <summary><c>ldlvk pull</c> against a hub that redirects, stumbles, lies and cuts connections.</summary>
public sealed class PullTests : IDisposable
{
    private static readonly string Sharded = Repository.Path("tests", "data", "goldens", "b_bf16_sharded");

    private readonly TempFolder _folder = new();
    private readonly FakeHub _hub = new FakeHub().With(Sharded);
    private readonly List<TimeSpan> _waits = [];

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
        Equal(Sharded, _folder["m"], "goldens.json");
        Assert.All(_hub.Requests, request => Assert.Null(request.Authorization));

        long sent = _hub.BytesSent;
        Outcome second = await CliAsync();
        Assert.Contains("complete already", second.Out, StringComparison.Ordinal);
        Assert.InRange(_hub.BytesSent - sent, 1, 20_000); // the list

        // Of what was changed there only that comes again.
        File.WriteAllText(_folder["m/config.json"], "{}");
        Assert.Equal(0, (await CliAsync()).Code);
        Equal(Sharded, _folder["m"], "goldens.json");

        Assert.Equal(0, (await CliAsync(_folder["n"], "--include", "*.md", "--exclude", "*.safetensors", "--exclude", "model.*")).Code);
        Assert.Equal([".ldlvk-pull.json", "README.md", "config.json", "gating_layer.pt", "regression_layer.pt"], Names(_folder["n"]).Where(name => name != "goldens.json"));
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
        (await CliAsync(_folder["x"], "--token-file", _folder.Write("token", "two words"))).Fails(2, "holds no token");
        (await CliAsync(_folder["x"], "--token-file", _folder["none"])).Fails(2, "no file");
        (await CliAsync(_folder["x"], "--token-file", _folder.Write("token", "wrong"))).Fails(2, "use a token of that account");
        (await Cli.RunAsync("pull", "http://example.org/o/m", _folder["x"], "--token-file", _folder["token"])).Fails(2, "in the clear");
    }

    [Fact]
    public async Task Cut_connections_and_busy_servers_are_tried_again_from_where_they_were()
    {
        _hub.Fault = (request, before) => request.Path.EndsWith("revision/main", StringComparison.Ordinal) && before == 0 ? new FakeHub.Answer(429, [], "Retry-After: 7\r\n")
            : !request.IsHub && before < 5 && request.Path.EndsWith("00002-of-00003.safetensors", StringComparison.Ordinal)
                ? before == 2 ? new FakeHub.Answer(503, []) : _hub.Honest(request) with { CutAfter = 5000 }
            : null;
        PullResult result = await PullAsync("m");
        Assert.Equal(result.Bytes, result.Downloaded);
        Equal(Sharded, _folder["m"], "goldens.json");
        Assert.Equal(TimeSpan.FromSeconds(7), _waits[0]);
        string[] ranges = [.. _hub.Requests.Where(r => !r.IsHub && r.Path.Contains("00002", StringComparison.Ordinal)).Select(r => r.Range ?? "all")];
        Assert.Equal(["all", "bytes=5000-", "bytes=10000-", "bytes=10000-", "bytes=15000-", "bytes=20000-"], ranges);
    }

    [Fact]
    public async Task A_server_without_ranges_sends_all_again_and_one_that_never_answers_is_given_up()
    {
        string one = "/" + "model-00001-of-00003.safetensors";
        _hub.Fault = (request, before) => request.IsHub || !request.Path.EndsWith(one, StringComparison.Ordinal) ? null
            : before == 0 ? _hub.Honest(request) with { CutAfter = 3000 } : new FakeHub.Answer(200, _hub.Files[one[1..]]);
        await PullAsync("m");
        Equal(Sharded, _folder["m"], "goldens.json");

        _hub.Fault = (request, _) => request.Path.EndsWith(one, StringComparison.Ordinal) ? new FakeHub.Answer(500, []) : null;
        string message = (await Assert.ThrowsAsync<IOException>(() => PullAsync("n"))).Message;
        Assert.Contains("answers 500", message, StringComparison.Ordinal);
        Assert.Contains("same command goes on", message, StringComparison.Ordinal);
        Assert.Equal([1, 2, 4, 8, 16, 32, 60], _waits[^7..].Select(wait => wait.TotalSeconds));
        _hub.Fault = (_, _) => new FakeHub.Answer(429, [], "Retry-After: 86400\r\n");
        Assert.Contains("asked again in 1440 minutes", (await Assert.ThrowsAsync<IOException>(() => PullAsync("n"))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("range")]
    [InlineData("length")]
    [InlineData("more")]
    public async Task Lies_about_ranges_are_errors(string how)
    {
        _hub.Fault = (request, before) =>
        {
            if (request.IsHub || !request.Path.EndsWith("regression_layer.pt", StringComparison.Ordinal)) return null;
            FakeHub.Answer honest = _hub.Honest(request);
            return (how, before) switch
            {
                (_, 0) when how != "length" => honest with { CutAfter = 100 },
                ("range", _) => honest with { Headers = "Content-Range: bytes 99-198/500\r\n" },
                ("length", _) => new FakeHub.Answer(200, honest.Body[1..]),
                _ => honest with { Body = [.. honest.Body, 1, 2, 3] },
            };
        };
        string message = (await Assert.ThrowsAsync<IOException>(() => PullAsync("m"))).Message;
        Assert.Contains(how switch { "range" => "gives bytes", "length" => "where the hub says", _ => "sends more than" }, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("config.json")]
    [InlineData("model-00003-of-00003.safetensors")]
    public async Task Wrong_checksums_are_never_taken(string name)
    {
        _hub.Checksums[name] = name == "config.json" ? FakeHub.GitSha1([]) : FakeHub.Sha256([]);
        string message = (await Assert.ThrowsAsync<IOException>(() => PullAsync("m"))).Message;
        Assert.Contains($"{name} of o/m came twice with another checksum", message, StringComparison.Ordinal);
        Assert.DoesNotContain(name, Names(_folder["m"]));
        Assert.DoesNotContain(name + ".partial", Names(_folder["m"]));
        Assert.DoesNotContain("model.safetensors.index.json", Names(_folder["m"]));

        // A beginning that was spoiled on the disk is found out, and costs another download of the file.
        _hub.Checksums.Clear();
        File.WriteAllBytes(_folder[$"m/{name}.partial"], new byte[50]);
        await PullAsync("m");
        Equal(Sharded, _folder["m"], "goldens.json");
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

    [Theory]
    [InlineData("int8")]
    [InlineData("fp16")]
    public async Task Weights_are_converted_as_they_come(string weights)
    {
        WeightFormat format = Enum.Parse<WeightFormat>(weights, ignoreCase: true);
        int most = 0;
        _hub.Fault = (_, _) =>
        {
            if (PullReceipt.Read(_folder["m"]) is { } receipt) most = Math.Max(most, receipt.Fetched.Count);
            return null;
        };
        await PullAsync("m", format, 60_000);
        // Of three files two at most were there when the next was asked for: one of them is needed no more after that.
        Assert.InRange(most, 1, 2);
        Assert.DoesNotContain(".download", Names(_folder["m"]));

        // The same as from a folder whose files have the same names, sizes and times.
        string source = LocalCopy();
        Converter.Run(source, _folder["want"], format, new Nothing(), 60_000);
        Equal(_folder["want"], _folder["m"]);
        Assert.True(Directory.EnumerateFiles(_folder["m"], "*.safetensors").Count() > 3);
        using RewardModel model = await RewardModel.LoadAsync(_folder["m"], new RewardModelOptions { Device = "cpu" }, null, CancellationToken.None);

        long sent = _hub.BytesSent;
        PullResult again = await PullAsync("m", format, 60_000);
        Assert.Equal(0, again.Downloaded);
        Assert.InRange(_hub.BytesSent - sent, 1, 20_000);
    }

    [Fact]
    public async Task A_conversion_goes_on_from_wherever_it_ended()
    {
        Converter.Run(LocalCopy(), _folder["want"], WeightFormat.Int8, new Nothing(), 60_000);
        int ended = 0;
        for (int after = 1; after < 60; after++)
        {
            // Ends at the n-th request, or behind the first bytes that it gives.
            using CancellationTokenSource stop = new();
            int requests = 0;
            _hub.Fault = (request, _) =>
            {
                requests++;
                if (requests > after || (requests == after && after % 2 == 0)) stop.Cancel();
                return requests == after ? _hub.Honest(request) with { CutAfter = 4000 } : null;
            };
            try
            {
                await PullAsync("m", WeightFormat.Int8, 60_000, stop.Token);
                break;
            }
            catch (OperationCanceledException)
            {
                ended++;
            }
        }

        Assert.InRange(ended, 5, 58);
        Equal(_folder["want"], _folder["m"]);
    }

    [Fact]
    public async Task Wrong_checksums_are_not_converted()
    {
        _hub.Checksums["model-00002-of-00003.safetensors"] = FakeHub.Sha256([]);
        Assert.Contains("another checksum", (await Assert.ThrowsAsync<IOException>(() => PullAsync("m", WeightFormat.Int8, 60_000))).Message, StringComparison.Ordinal);
        Assert.DoesNotContain("model.safetensors.index.json", Names(_folder["m"]));
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
        Assert.Contains("the same command goes on from here", await error, StringComparison.Ordinal);
        await PullAsync("m");
        Equal(Sharded, _folder["m"], "goldens.json");
    }

    /// <summary>A copy of the model whose files have the times that pull gives them.</summary>
    private string LocalCopy()
    {
        string copy = Directory.CreateDirectory(_folder["copy"]).FullName;
        foreach ((string name, byte[] bytes) in _hub.Files)
        {
            File.WriteAllBytes(Path.Combine(copy, name), bytes);
            bool isLarge = name.EndsWith(".pt", StringComparison.Ordinal) || name.EndsWith(".safetensors", StringComparison.Ordinal);
            ComingWeights.SetTime(new HubFile(name, bytes.Length, isLarge ? FakeHub.Sha256(bytes) : null, FakeHub.GitSha1(bytes)), Path.Combine(copy, name));
        }

        return copy;
    }

    private Task<Outcome> CliAsync(params string[] flags) => flags is [{ } folder, ..] && folder[0] != '-'
        ? Cli.RunAsync(["pull", "o/m", folder, "--endpoint", _hub.Address, .. flags[1..]])
        : Cli.RunAsync(["pull", $"{_hub.Address}/o/m", _folder["m"], .. flags]);

    /// <summary>Pulls without waiting for anything.</summary>
    private async Task<PullResult> PullAsync(string folder, WeightFormat? weights = null, long shardBytes = 4L << 30, CancellationToken cancellation = default)
    {
        HubRepository repository = HubRepository.Parse("o/m", null, _hub.Address);
        using HubClient client = new(repository, null)
        {
            Delay = (time, token) =>
            {
                _waits.Add(time);
                token.ThrowIfCancellationRequested();
                return Task.CompletedTask;
            },
        };
        using StatusLine status = new(new Terminal { In = Stream.Null, Out = Stream.Null, Error = TextWriter.Null }, quiet: true);
        return await new Pull(repository, client, status) { Weights = weights, ShardBytes = shardBytes }.RunAsync(_folder[folder], cancellation);
    }

    private static string[] Names(string folder) => [.. Directory.EnumerateFileSystemEntries(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    private static void Equal(string want, string got, params string[] without)
    {
        Assert.Equal(Names(want).Except(without), Names(got).Where(name => name[0] != '.'));
        foreach (string name in Names(want).Except(without)) Assert.True(File.ReadAllBytes(Path.Combine(want, name)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(got, name))), name);
    }

    /// <summary>All files are there.</summary>
    private sealed class Nothing : IWeightSupply
    {
        public void Fetch(IReadOnlySet<string> paths)
        {
        }

        public void Release(IReadOnlySet<string> paths)
        {
        }
    }
}
