using System.Diagnostics;
using System.Text;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;
using LdlVk.Datasets.Resuming;
using LdlVk.Testing;

namespace LdlVk.Datasets.Tests;

[Trait("Duration", "Long")]
public sealed class ResumableFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Whatever is left of the two files, what is believed is a beginning of what was written, and the rest is written behind it.</summary>
    [Fact]
    public void Files_that_are_cut_or_spoiled_anywhere_lose_nothing_but_time()
    {
        string path = _folder["out"];
        using (ResumableFile file = Open())
            for (int i = 0; i < 6; i++)
            {
                Add(file, i);
                if (i % 2 == 1) file.Keep();
            }
        byte[] results = File.ReadAllBytes(path + ".partial"), journal = File.ReadAllBytes(path + ".journal");
        Assert.Equal(4, journal.Count(b => b == '\n'));
        int[] kept = new int[7];
        for (int i = 0; i <= journal.Length; i++) Check(results, journal[..i]);
        for (int i = 0; i <= results.Length; i++) Check(results[..i], journal);
        for (int i = 0; i < results.Length; i++) Check([.. results[..i], (byte)(results[i] ^ 1), .. results[(i + 1)..]], journal);
        Check([.. results, 1, 2, 3], [.. journal, 0, 0, 0, (byte)'\n']);
        Assert.All([0, 2, 4, 6], lines => Assert.NotEqual(0, kept[lines]));
        Assert.Equal(kept.Sum(), kept[0] + kept[2] + kept[4] + kept[6]);

        void Check(byte[] someResults, byte[] someJournal)
        {
            File.WriteAllBytes(path + ".partial", someResults);
            File.WriteAllBytes(path + ".journal", someJournal);
            using (ResumableFile file = Open())
            {
                kept[file.Lines]++;
                Assert.Equal(file.Lines == 0 ? "" : Convert.ToHexStringLower(Encoding.UTF8.GetBytes($"digest{file.Lines - 1}")), file.InputDigest);
                for (int i = (int)file.Lines; i < 6; i++) Add(file, i);
                file.Complete(new LineDigest(), Shard.Whole);
            }

            Assert.Equal(results, File.ReadAllBytes(path));
            RunRecord record = RunRecord.Read(path)!;
            Assert.Equal((6, 2, Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(results))), (record.Lines, record.Failed, record.Sha256));
            Assert.False(File.Exists(path + ".journal") || File.Exists(path + ".partial"));
        }

        ResumableFile Open() => ResumableFile.Open(path, new RunIdentity("settings"), Shard.Whole, resume: true, (_, _) => { });
    }

    /// <summary>A machine that is slow to return, on a file system without locks: its part was given away.</summary>
    [Theory]
    [InlineData("rm", false)]
    [InlineData("printf x >>", false)]
    [InlineData(": >", false)]
    [InlineData("printf x >>", true)]
    public void A_run_whose_output_another_has_taken_over_stops(string takeOver, bool atTheEnd)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "An open journal can be neither written nor deleted on Windows.");
        string path = _folder["out"];
        using (ResumableFile file = ResumableFile.Open(path, new RunIdentity("settings"), Shard.Whole, resume: true, (_, _) => { }))
        {
            Add(file, 0);
            file.Keep();
            if (!atTheEnd) Add(file, 1);
            // Not by this process, in which the lock would hold.
            using (Process shell = Process.Start("sh", ["-c", $"{takeOver} '{path}.journal'"])) shell.WaitForExit();
            BusyException error = Assert.Throws<BusyException>(() => file.Complete(new LineDigest(), Shard.Whole));
            Assert.Contains($"taken {path} over", error.Message, StringComparison.Ordinal);
            if (!atTheEnd) Assert.Throws<BusyException>(file.Keep);
        }

        Assert.True(File.Exists(path + ".partial"));
        Assert.False(File.Exists(path) || File.Exists(path + ".run.json"));
    }

    private static void Add(ResumableFile file, int i)
    {
        file.Stream.Write(Encoding.UTF8.GetBytes($"{{\"id\":{i},\"score\":0.{i}}}\n"));
        InputLine line = InputLine.Of("0", Item.Of("p", ["r"]));
        line.Digest = Encoding.UTF8.GetBytes($"digest{i}");
        file.Wrote(new ScoredLine(line, [], i % 3 == 0 ? "error" : null));
    }
}
