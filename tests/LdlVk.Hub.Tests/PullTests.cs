using LdlVk.Runtime.Conversion;
using LdlVk.Testing;

namespace LdlVk.Hub.Tests;

/// <summary>A pull from a hub that redirects, stumbles, lies and cuts connections.</summary>
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
    public async Task Cut_connections_and_busy_servers_are_tried_again_from_where_they_were()
    {
        _hub.Fault = (request, before) => request.Path.EndsWith("revision/main", StringComparison.Ordinal) && before == 0 ? new FakeHub.Answer(429, [], "Retry-After: 7\r\n")
            : !request.IsHub && before < 5 && request.Path.EndsWith("00002-of-00003.safetensors", StringComparison.Ordinal)
                ? before == 2 ? new FakeHub.Answer(503, []) : _hub.Honest(request) with { CutAfter = 5000 }
            : null;
        PullResult result = await PullAsync("m");
        Assert.Equal(result.Bytes, result.Downloaded);
        Assert.Null(Folders.Difference(Sharded, _folder["m"], "goldens.json"));
        Assert.Equal(TimeSpan.FromSeconds(7), _waits[0]);
        string[] ranges = [.. _hub.Requests.Where(r => !r.IsHub && r.Path.Contains("00002", StringComparison.Ordinal)).Select(r => r.Range ?? "all")];
        Assert.Equal(["all", "bytes=5000-", "bytes=10000-", "bytes=10000-", "bytes=15000-", "bytes=20000-"], ranges);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("int8")]
    public async Task Files_of_PyTorch_are_pulled_where_there_are_no_safetensors(string? weights)
    {
        using TempFolder copy = new();
        copy.CopyGolden("b_bf16_sharded");
        TorchCopy.Replace(copy.Path);
        _hub.Files.Clear();
        _hub.With(copy.Path);
        _hub.Files["optimizer.bin"] = [1];
        await PullAsync("m", weights is null ? null : Enum.Parse<WeightFormat>(weights, ignoreCase: true));
        Assert.False(File.Exists(_folder["m/optimizer.bin"]));
        Assert.Equal(weights is null, File.Exists(_folder["m/pytorch_model-00001-of-00003.bin"]));
        Assert.DoesNotContain(".download", TempFolder.NamesIn(_folder["m"]));
        using RewardModel model = await RewardModel.LoadAsync(_folder["m"], new RewardModelOptions { Device = "cpu" }, null, CancellationToken.None);
        Assert.Equal(0, (await PullAsync("m", weights is null ? null : Enum.Parse<WeightFormat>(weights, ignoreCase: true))).Downloaded);
    }

    [Fact]
    public async Task Of_both_kinds_of_files_the_safetensors_are_pulled()
    {
        _hub.Files["pytorch_model.bin"] = [1];
        _hub.Files["adapter_config.json"] = "{}"u8.ToArray();
        await PullAsync("m");
        Assert.False(File.Exists(_folder["m/pytorch_model.bin"]));
        Assert.False(File.Exists(_folder["m/adapter_config.json"]));
    }

    [Fact]
    public async Task An_adapter_is_pulled_with_its_config()
    {
        _hub.Files.Clear();
        _hub.Files["adapter_config.json"] = "{}"u8.ToArray();
        _hub.Files["adapter_model.safetensors"] = [1];
        _hub.Files["training_args.bin"] = [1];
        await PullAsync("m");
        Assert.Equal(["adapter_config.json", "adapter_model.safetensors"], TempFolder.NamesIn(_folder["m"]).Where(name => name[0] != '.'));
    }

    [Fact]
    public async Task A_server_without_ranges_sends_all_again_and_one_that_never_answers_is_given_up()
    {
        string one = "/" + "model-00001-of-00003.safetensors";
        _hub.Fault = (request, before) => request.IsHub || !request.Path.EndsWith(one, StringComparison.Ordinal) ? null
            : before == 0 ? _hub.Honest(request) with { CutAfter = 3000 } : new FakeHub.Answer(200, _hub.Files[one[1..]]);
        await PullAsync("m");
        Assert.Null(Folders.Difference(Sharded, _folder["m"], "goldens.json"));

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
        Assert.DoesNotContain(name, TempFolder.NamesIn(_folder["m"]));
        Assert.DoesNotContain(name + ".partial", TempFolder.NamesIn(_folder["m"]));
        Assert.DoesNotContain("model.safetensors.index.json", TempFolder.NamesIn(_folder["m"]));

        // A beginning that was spoiled on the disk is found out, and costs another download of the file.
        _hub.Checksums.Clear();
        File.WriteAllBytes(_folder[$"m/{name}.partial"], new byte[50]);
        await PullAsync("m");
        Assert.Null(Folders.Difference(Sharded, _folder["m"], "goldens.json"));
    }

    /// <summary>TRL and LLaMA-Factory save a value head beside the shards, in either of these.</summary>
    [Fact]
    public async Task A_value_head_in_a_file_of_its_own_comes_too()
    {
        _hub.Files["value_head.safetensors"] = new byte[10];
        _hub.Files["value_head.bin"] = new byte[10];
        await PullAsync("m");
        Assert.Superset(new HashSet<string> { "value_head.safetensors", "value_head.bin" }, TempFolder.NamesIn(_folder["m"]).ToHashSet());
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
        Assert.DoesNotContain(".download", TempFolder.NamesIn(_folder["m"]));

        // The same as from a folder whose files have the same names, sizes and times.
        string source = LocalCopy();
        Converter.Run(source, _folder["want"], format, new Nothing(), 60_000);
        Assert.Null(Folders.Difference(_folder["want"], _folder["m"]));
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
        Assert.Null(Folders.Difference(_folder["want"], _folder["m"]));
    }

    [Fact]
    public async Task Wrong_checksums_are_not_converted()
    {
        _hub.Checksums["model-00002-of-00003.safetensors"] = FakeHub.Sha256([]);
        Assert.Contains("another checksum", (await Assert.ThrowsAsync<IOException>(() => PullAsync("m", WeightFormat.Int8, 60_000))).Message, StringComparison.Ordinal);
        Assert.DoesNotContain("model.safetensors.index.json", TempFolder.NamesIn(_folder["m"]));
    }

    /// <summary>A copy of the model whose files have the times that a pull gives them.</summary>
    private string LocalCopy()
    {
        string copy = Directory.CreateDirectory(_folder["copy"]).FullName;
        foreach ((string name, byte[] bytes) in _hub.Files)
        {
            File.WriteAllBytes(Path.Combine(copy, name), bytes);
            ComingWeights.SetTime(new HubFile(name, bytes.Length, FakeHub.IsLarge(name) ? FakeHub.Sha256(bytes) : null, FakeHub.GitSha1(bytes)), Path.Combine(copy, name));
        }

        return copy;
    }

    /// <summary>Pulls without waiting for anything.</summary>
    private async Task<PullResult> PullAsync(string folder, WeightFormat? weights = null, long shardBytes = 4L << 30, CancellationToken cancellationToken = default)
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
        return await new Pull(client) { Weights = weights, ShardBytes = shardBytes }.RunAsync(_folder[folder], cancellationToken);
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
