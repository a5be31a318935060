using System.Text;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;
using LdlVk.Datasets.Resuming;
using LdlVk.Testing;

namespace LdlVk.Datasets.Tests;

/// <summary>What a resumed run makes of files that a disk, or somebody, has changed.</summary>
[Trait("Duration", "Long")]
public sealed class ChangedFilesTests : IDisposable
{
    private const int Lines = 6;

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_flipped_bit_of_a_journal_or_of_results_gives_the_undisturbed_file_or_an_error()
    {
        string path = _folder["out"];
        Begin(path, 4);
        Dictionary<string, byte[]> files = new[] { ".partial", ".journal" }.ToDictionary(s => s, s => File.ReadAllBytes(path + s));
        byte[] want = Undisturbed();
        int refused = 0, kept = 0;
        foreach ((string suffix, byte[] sound) in files)
        {
            for (int bit = 0; bit < 8 * sound.Length; bit += 7)
            {
                foreach (string old in (string[])["", ".run.json"]) File.Delete(path + old);
                foreach ((string other, byte[] bytes) in files) File.WriteAllBytes(path + other, bytes);
                File.WriteAllBytes(path + suffix, Flipped(sound, bit));
                try
                {
                    using ResumableFile file = Open(path);
                    if (file.Lines > 0) kept++;
                    Finish(file);
                }
                catch (UsageException)
                {
                    refused++;
                    Assert.False(File.Exists(path));
                    continue;
                }

                Assert.Equal(want, File.ReadAllBytes(path));
                Assert.Equal(Lines, RunRecord.Read(path)!.Lines);
            }
        }

        // A head that is damaged is restored from the entries, which only this run can have written.
        Assert.True(kept > 0);
        Assert.True(refused < 20, $"{refused}");
    }

    [Fact]
    public void A_flipped_bit_of_a_finished_file_or_of_its_record_is_an_error()
    {
        string path = _folder["out"];
        using (ResumableFile file = Open(path)) Finish(file);
        Assert.NotNull(ResumableFile.Finished(path, new RunIdentity("settings"), Shard.Whole));
        foreach (string name in (string[])[path, path + ".run.json"])
        {
            byte[] sound = File.ReadAllBytes(name);
            for (int bit = 0; bit < 8 * sound.Length; bit += 7)
            {
                File.WriteAllBytes(name, Flipped(sound, bit));
                Assert.Throws<UsageException>(() => ResumableFile.Finished(path, new RunIdentity("settings"), Shard.Whole));
            }

            File.WriteAllBytes(name, sound);
        }
    }

    [Fact]
    public void A_finished_file_of_something_else_is_refused_and_stays()
    {
        string path = _folder["out"];
        using (ResumableFile file = Open(path)) Finish(file);
        byte[] before = File.ReadAllBytes(path);
        Assert.Contains("other settings", Refusal(() => ResumableFile.Finished(path, new RunIdentity("others"), Shard.Whole)), StringComparison.Ordinal);
        Assert.Contains("part 0/1, not 1/2", Refusal(() => ResumableFile.Finished(path, new RunIdentity("settings"), new Shard(1, 2))), StringComparison.Ordinal);
        File.Delete(path + ".run.json");
        Assert.Contains("without", Refusal(() => ResumableFile.Finished(path, new RunIdentity("settings"), Shard.Whole)), StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(path));
    }

    [Fact]
    public void Results_of_a_run_that_cannot_be_resumed_are_not_cut()
    {
        string path = _folder["out"], kept = _folder.Write("out.partial", "{\"id\":0}\n");
        Assert.Contains("cannot be resumed", Refusal(() => Open(path)), StringComparison.Ordinal);
        Assert.Equal("{\"id\":0}\n", File.ReadAllText(kept));
        Assert.False(File.Exists(path + ".journal"));
    }

    [Fact]
    public void A_journal_of_nobody_is_refused_and_its_results_stay()
    {
        string path = _folder["out"];
        Begin(path, 4);
        byte[] partial = File.ReadAllBytes(path + ".partial"), journal = File.ReadAllBytes(path + ".journal");
        journal[20] ^= 1;
        File.WriteAllBytes(path + ".journal", journal);
        Refusal(() => ResumableFile.Open(path, new RunIdentity("others"), Shard.Whole, resume: true, (_, _) => { }));
        Assert.Equal(partial, File.ReadAllBytes(path + ".partial"));
        using ResumableFile file = Open(path);
        Assert.Equal(4, file.Lines);
    }

    [Fact]
    public void Two_runs_on_one_output_exclude_each_other()
    {
        string path = _folder["out"];
        using (ResumableFile file = Open(path))
        {
            Assert.Contains("another run", Assert.Throws<BusyException>(() => Open(path)).Message, StringComparison.Ordinal);
            Assert.Contains("another run", Assert.Throws<BusyException>(() => OutputFile.Open(path, "output").Dispose()).Message, StringComparison.Ordinal);
            Finish(file);
        }

        using (OutputFile.Open(path, "output"))
        {
            Assert.Contains("another run", Assert.Throws<BusyException>(() => OutputFile.Open(path, "output").Dispose()).Message, StringComparison.Ordinal);
            Assert.Contains("another run", Assert.Throws<BusyException>(() => Open(path)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_line_of_any_length_is_merged()
    {
        string[] parts = [_folder["a"], _folder["b"]];
        int[] lines = [256, 40];
        string input = _folder["in"];
        File.WriteAllText(input, string.Concat(Enumerable.Repeat("{}\n", lines.Sum())));
        byte[] longLine = [.. Enumerable.Repeat((byte)'x', (16 << 20) + 100), (byte)'\n'];
        for (int p = 0; p < 2; p++)
        {
            using LineSource source = LineSource.Open(input);
            using ResumableFile file = ResumableFile.Open(parts[p], new RunIdentity("settings"), new Shard(p, 2), resume: false, (_, _) => { });
            foreach (InputLine line in source.Lines(new Shard(p, 2), 0, ""))
            {
                file.Stream.Write(file.Lines == 7 ? longLine : Encoding.UTF8.GetBytes($"{p} {file.Lines}\n"));
                file.Wrote(new ScoredLine(line, [], null));
            }

            file.Complete(source.Digest, new Shard(p, 2));
        }

        using MemoryStream merged = new();
        PartialResults results = PartialResults.Open(parts);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(lines.Sum(), results.Merge(OutputFile.Of(Stream.Null)));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        results.Merge(OutputFile.Of(merged));
        Assert.Equal([.. File.ReadAllBytes(parts[0]), .. File.ReadAllBytes(parts[1])], merged.ToArray());
    }

    [Fact]
    public void A_folder_that_is_not_there_is_an_error_that_names_it()
    {
        Assert.Contains("there is no folder", Refusal(() => ResumableFile.Resolve(Path.Combine(_folder["none"], "out"))), StringComparison.Ordinal);
        // Without its end it would be a file, where a folder is meant.
        Assert.Contains("is not a file name", Refusal(() => ResumableFile.Resolve(_folder["none"] + "/")), StringComparison.Ordinal);
        Assert.Contains("is not a file name", Refusal(() => OutputFile.Open(_folder["none"] + "/", "output").Dispose()), StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_of_a_changed_part_is_written_where_it_would_be_seen()
    {
        string path = _folder["out"];
        LineDigest input = new();
        for (int i = 0; i < Lines; i++) input.Add(new RawLine(i, "{}"u8.ToArray()));
        using (ResumableFile file = Open(path))
        {
            for (int i = 0; i < Lines; i++) Add(file, i);
            file.Complete(input, Shard.Whole);
        }

        byte[] results = File.ReadAllBytes(path);
        results[3] ^= 1;
        File.WriteAllBytes(path, results);
        using MemoryStream merged = new();
        Assert.Contains("has been changed", Refusal(() => PartialResults.Open([path]).Merge(OutputFile.Of(merged))), StringComparison.Ordinal);
        Assert.Equal(0, merged.Length);
    }

    [Fact]
    public void A_record_that_claims_many_parts_costs_nothing()
    {
        string path = _folder["out"];
        File.WriteAllText(path, "{}\n");
        RunRecord record = new("settings", 0, int.MaxValue, long.MaxValue, "", 1, 0, 3, "");
        File.WriteAllBytes(path + ".run.json", record.ToJson());
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("Of 2147483647 parts 1, 2, 3", Refusal(() => PartialResults.Open([path])), StringComparison.Ordinal);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        File.WriteAllBytes(path + ".run.json", (record with { Shards = 1 }).ToJson());
        Assert.Contains("has been changed", Refusal(() => PartialResults.Open([path]).Merge(OutputFile.Of(Stream.Null))), StringComparison.Ordinal);
    }

    private byte[] Undisturbed()
    {
        string path = _folder["undisturbed"];
        using (ResumableFile file = Open(path)) Finish(file);
        return File.ReadAllBytes(path);
    }

    private static void Begin(string path, int lines)
    {
        using ResumableFile file = Open(path);
        for (int i = 0; i < lines; i++)
        {
            Add(file, i);
            file.Keep();
        }
    }

    private static void Finish(ResumableFile file)
    {
        for (int i = (int)file.Lines; i < Lines; i++) Add(file, i);
        file.Complete(new LineDigest(), Shard.Whole);
    }

    private static ResumableFile Open(string path) => ResumableFile.Open(path, new RunIdentity("settings"), Shard.Whole, resume: true, (_, _) => { });

    private static void Add(ResumableFile file, int i)
    {
        file.Stream.Write(Encoding.UTF8.GetBytes($"{{\"id\":{i}}}\n"));
        InputLine line = InputLine.Of("0", Item.Of("p", ["r"]));
        line.Digest = Encoding.UTF8.GetBytes($"digest{i}");
        file.Wrote(new ScoredLine(line, [], null));
    }

    private static string Refusal(Action action) => Assert.Throws<UsageException>(action).Message;

    private static byte[] Flipped(byte[] bytes, int bit)
    {
        byte[] flipped = (byte[])bytes.Clone();
        flipped[bit / 8] ^= (byte)(1 << (bit % 8));
        return flipped;
    }
}
