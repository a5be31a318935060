using System.Text;
using LdlVk.Datasets.Lines;
using LdlVk.Datasets.Resuming;
using LdlVk.Testing;

namespace LdlVk.Datasets.Tests;

/// <summary>Which runs' results may stand in one file, and what happens to those that may not.</summary>
public sealed class RunIdentityTests : IDisposable
{
    private static readonly RunIdentity Run = new("v1, model m, device d", "model m", "driver 1"), OtherDriver = Run with { Driver = "driver 2" },
        OtherDevice = Run with { Settings = "v1, model m, device e" }, OtherModel = new("v1, model n, device d", "model n", "driver 1"), Earlier = new("v1, model m, device d");

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Runs_match_by_settings_and_driver()
    {
        Assert.Equal(RunMatch.Same, Run.Match(Run with { }));
        Assert.Equal(RunMatch.Same, Run.Match(Earlier));
        Assert.Equal(RunMatch.Same, Earlier.Match(OtherDriver));
        Assert.Equal(RunMatch.OtherMachine, Run.Match(OtherDriver));
        Assert.Equal(RunMatch.OtherMachine, Run.Match(OtherDevice));
        Assert.Equal(RunMatch.Different, Run.Match(OtherModel));
        // Nobody can tell which of an earlier version's settings differ.
        Assert.Equal(RunMatch.Different, Earlier.Match(OtherDevice));
    }

    [Fact]
    public void An_unfinished_run_is_continued_on_the_same_machine_or_by_consent()
    {
        string path = _folder["out"];
        Write(path, Run, 2, complete: false);
        Assert.Contains("driver 1; now driver 2", Refusal(() => Open(path, OtherDriver)), StringComparison.Ordinal);
        Assert.Contains("last bits", Refusal(() => Open(path, OtherDevice)), StringComparison.Ordinal);
        Assert.Contains("other settings", Refusal(() => Open(path, OtherModel, _ => { })), StringComparison.Ordinal);

        List<string> accepted = [];
        Write(path, OtherDriver, 4, complete: false, accepted.Add);
        Assert.Single(accepted);
        // The file has results of both now, and each of the two is another machine for it.
        foreach (RunIdentity one in (RunIdentity[])[Run, OtherDriver]) Assert.Contains("driver 1 and driver 2", Refusal(() => Open(path, one)), StringComparison.Ordinal);
        Write(path, Run, 6, complete: true, accepted.Add);
        Assert.Equal(2, accepted.Count);
        Assert.Equal("0\n1\n2\n3\n4\n5\n", File.ReadAllText(path));
        RunRecord record = RunRecord.Read(path)!;
        Assert.Equal((Run.Settings, "driver 1 and driver 2"), (record.Settings, record.Driver));
        Refusal(() => ResumableFile.Finished(path, Run, Shard.Whole));
        Assert.NotNull(ResumableFile.Finished(path, Run, Shard.Whole, _ => { }));
    }

    /// <summary>Runs of versions that recorded no driver are continued with the settings that they have.</summary>
    [Fact]
    public void A_run_of_an_earlier_version_is_continued()
    {
        string path = _folder["out"];
        Write(path, Earlier, 2, complete: false);
        Assert.DoesNotContain("driver", File.ReadAllText(path + ".journal"), StringComparison.Ordinal);
        Refusal(() => Open(path, OtherDevice));
        Write(path, Run, 4, complete: true);
        Assert.Equal("0\n1\n2\n3\n", File.ReadAllText(path));
        Assert.Null(RunRecord.Read(path)!.Driver);
        Assert.NotNull(ResumableFile.Finished(path, OtherDriver, Shard.Whole));
    }

    [Fact]
    public void Parts_are_merged_if_they_are_of_one_machine_or_by_consent()
    {
        foreach ((RunIdentity other, string refused) in new[] { (Run, ""), (Earlier, ""), (OtherDriver, "last bits"), (OtherDevice, "last bits"), (OtherModel, "different settings") })
        {
            string[] parts = [_folder["0"], _folder["1"]];
            for (int i = 0; i < 2; i++)
            {
                File.Delete(parts[i]);
                Write(parts[i], i == 0 ? Run : other, 4, complete: true, shard: new Shard(i, 2));
            }

            if (refused.Length == 0) PartialResults.Open(parts);
            else Assert.Contains(refused, Refusal(() => PartialResults.Open(parts)), StringComparison.Ordinal);
            List<string> accepted = [];
            if (refused == "different settings") Refusal(() => PartialResults.Open(parts, accepted.Add));
            else PartialResults.Open(parts, accepted.Add);
            Assert.Equal(refused == "last bits" ? 1 : 0, accepted.Count);
        }
    }

    private static string Refusal(Action action) => Assert.Throws<UsageException>(action).Message;

    private static void Open(string path, RunIdentity run, Action<string>? accept = null) =>
        ResumableFile.Open(path, run, Shard.Whole, resume: true, (_, _) => { }, accept).Dispose();

    private void Write(string path, RunIdentity run, int lines, bool complete, Action<string>? accept = null, Shard? shard = null)
    {
        Shard part = shard ?? Shard.Whole;
        string input = _folder.Write("in", string.Concat(Enumerable.Repeat("{}\n", part.Count * Shard.BlockLines)));
        using LineSource source = LineSource.Open(input);
        using ResumableFile file = ResumableFile.Open(path, run, part, resume: true, (_, _) => { }, accept);
        foreach (InputLine line in source.Lines(part, file.Lines, file.InputDigest).Take(shard is null ? lines - (int)file.Lines : int.MaxValue))
        {
            file.Stream.Write(Encoding.UTF8.GetBytes($"{file.Lines}\n"));
            file.Wrote(new ScoredLine(line, [], null));
            file.Keep();
        }

        if (complete) file.Complete(source.Digest, part);
    }
}
