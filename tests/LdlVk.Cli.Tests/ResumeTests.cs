using System.Text;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>Runs that were interrupted and go on with other settings, other models or changed files.</summary>
[Trait("Duration", "Long")]
public sealed class ResumeTests : IDisposable
{
    private const int Rounds = 12;

    private readonly TempFolder _folder = new();
    private readonly string _input, _output;

    public ResumeTests()
    {
        StringBuilder lines = new();
        for (int i = 0; i < 400; i++) lines.Append($"{{\"prompt\":\"Name lake {i / 4}.\",\"response\":\"{string.Concat(Enumerable.Repeat("It is deep. ", 1 + (i % 7)))}\"}}\n");
        _input = _folder.Write("in.jsonl", lines.ToString());
        _output = _folder["out"];
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_record_has_settings_as_they_were_used()
    {
        Assert.Equal(0, (await ScoreAsync(Cli.Mini, "--device", "auto")).Code);
        string record = File.ReadAllText(_output + ".run.json");
        Assert.DoesNotContain("auto", record, StringComparison.Ordinal);
        foreach (string used in (string[])["weights fp", "template ", "embedding scale ", "not truncated", "ldlvk "])
            Assert.Contains(used, record, StringComparison.Ordinal);
        // The same settings by name are the same.
        string weights = record.Split("weights ")[1].Split(',')[0];
        Outcome again = await ScoreAsync(Cli.Mini, "--device", "auto", "--weights", weights);
        Assert.Equal(0, again.Code);
        Assert.Contains("is complete", again.Error, StringComparison.Ordinal);
        byte[] before = File.ReadAllBytes(_output);
        foreach (string[] other in (string[][])[["--weights", "int8"], ["--details"], ["--truncate"], ["--shard", "0/2"]])
            (await ScoreAsync(Cli.Mini, ["--device", "auto", .. other])).Fails(2, "is complete and", other[0] == "--shard" ? "part 0/1, not 0/2" : "other settings");
        Assert.Equal(before, File.ReadAllBytes(_output));
    }

    /// <summary>Less memory makes int8 of auto: results of both formats must not meet in one file.</summary>
    [Fact]
    public async Task A_run_with_automatic_weights_is_not_continued_in_another_format()
    {
        string[] auto = [.. Flags(Cli.Mini, "--device", "cpu", "--batch-tokens", "64")];
        await KillAsync(auto);
        byte[] partial = File.ReadAllBytes(_output + ".partial");
        // Memory for int8 weights, but not for those of the checkpoint.
        Outcome plan = await Cli.RunAsync("score", "--model", Cli.Mini, "--device", "cpu", "--batch-tokens", "64", "--memory", "5MB", "--dry-run", "--prompt", "a", "--response", "b");
        Assert.Contains("int8", plan.Out, StringComparison.Ordinal);
        (await Cli.RunAsync([.. auto, "--memory", "5MB"])).Fails(2, "other settings", "weights int8");
        Assert.Equal(partial, File.ReadAllBytes(_output + ".partial"));
    }

    [Fact]
    public async Task Another_model_of_the_same_names_and_sizes_is_refused()
    {
        using TempFolder copy = new(), other = new();
        copy.WithModel(Cli.Mini);
        other.WithModel(Cli.Mini);
        string weights = Directory.EnumerateFiles(other.Path, "*.safetensors").First();
        byte[] bytes = File.ReadAllBytes(weights);
        bytes[^100] ^= 1;
        File.WriteAllBytes(weights, bytes);
        Assert.Equal(0, (await ScoreAsync(Cli.Mini, "--device", "cpu", "--shard", "0/2")).Code);
        string second = _folder["second"];
        (await ScoreAsync(other.Path, "--device", "cpu", "--shard", "0/2")).Fails(2, "other settings");
        Assert.Contains("is complete", (await ScoreAsync(copy.Path, "--device", "cpu", "--shard", "0/2")).Error, StringComparison.Ordinal);
        foreach ((string model, int code) in new[] { (other.Path, 2), (copy.Path, 0) })
        {
            Assert.Equal(0, (await Cli.RunAsync("score", "--model", model, "--device", "cpu", "--input", _input, "--output", second, "--shard", "1/2")).Code);
            Assert.Equal(code, (await Cli.RunAsync("merge", _output, second, "--output", _folder["merged"])).Code);
        }
    }

    [Fact]
    public async Task A_finished_file_that_was_changed_is_noticed()
    {
        Assert.Equal(0, (await ScoreAsync(Cli.Mini, "--device", "cpu")).Code);
        byte[] bytes = File.ReadAllBytes(_output);
        bytes[30] ^= 1;
        File.WriteAllBytes(_output, bytes);
        (await ScoreAsync(Cli.Mini, "--device", "cpu")).Fails(2, "has been changed");
        Assert.Equal(bytes, File.ReadAllBytes(_output));
    }

    /// <summary>Kills at random moments, then a flipped bit of a random file beside the output or none, and another limit of memory or none.</summary>
    [Fact]
    public async Task After_kills_and_flipped_bits_the_results_are_the_undisturbed_ones_or_refused()
    {
        string[] flags = Flags(Cli.Mini, "--device", "auto", "--batch-tokens", "64");
        string[][] memories = [[], ["--memory", "5MB"], ["--memory", "8MB"]];
        List<byte[]> want = [];
        foreach (string[] memory in memories)
            want.Add(Encoding.UTF8.GetBytes((await Cli.RunAsync(["score", "--model", Cli.Mini, "--device", "auto", "--input", _input, "--batch-tokens", "64", .. memory])).Out));
        int seed = Environment.TickCount, refused = 0, right = 0;
        Random random = new(seed);
        for (int round = 0; round < Rounds; round++)
        {
            foreach (string name in _folder.Names.Where(name => name.Contains("out", StringComparison.Ordinal))) File.Delete(_folder[name]);
            for (int kill = random.Next(1, 3); kill > 0; kill--) await KillAsync(flags, random.Next(0, 900));
            int last = random.Next(memories.Length);
            string[] beside = [.. _folder.Names.Where(name => name.Contains("out", StringComparison.Ordinal) && new FileInfo(_folder[name]).Length > 0)];
            if (beside.Length > 0 && random.Next(4) > 0)
            {
                string path = _folder[beside[random.Next(beside.Length)]];
                byte[] bytes = File.ReadAllBytes(path);
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                File.WriteAllBytes(path, bytes);
            }

            Outcome outcome = await Cli.RunAsync([.. flags, .. memories[last]]);
            if (outcome.Code == 2)
            {
                refused++;
                continue;
            }

            right++;
            Assert.True(outcome.Code == 0 && File.ReadAllBytes(_output).AsSpan().SequenceEqual(want[last]), $"seed {seed}, round {round}: {outcome}");
        }

        Assert.True(right > 0, $"seed {seed}: {refused} refused");
    }

    private Task<Outcome> ScoreAsync(string model, params string[] flags) => Cli.RunAsync(Flags(model, flags));

    private string[] Flags(string model, params string[] flags) =>
        ["score", "--model", model, "--input", _input, "--output", _output, "--resume", .. flags];

    /// <summary>Kills a run after its first entry in the journal, or at some moment.</summary>
    private async Task KillAsync(string[] flags, int? milliseconds = null)
    {
        using var process = Cli.Start(null, flags);
        if (milliseconds is { } time)
        {
            await Task.Delay(time, TestContext.Current.CancellationToken);
        }
        else
        {
            long head = 0;
            while (!process.HasExited && (head == 0 || Length() <= head))
            {
                await Task.Delay(2, TestContext.Current.CancellationToken);
                if (head == 0) head = Length();
            }
        }

        process.Kill();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);

        long Length() => new FileInfo(_output + ".journal") is { Exists: true } journal ? journal.Length : 0;
    }
}
