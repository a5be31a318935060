using LdlVk.Runtime.Conversion;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Conversion;

/// <summary>
/// A conversion that ends at any byte: the folder is refused, and the same call again makes it what it would have been. The source is a golden
/// in four shards and some copied files.
/// </summary>
[Trait("Duration", "Long")]
public sealed class InterruptedTests : IDisposable
{
    private const long ShardBytes = 100_000;
    private static readonly string Source = Repository.Path("tests", "data", "goldens", "d_f16_gate_softmax");
    private readonly TempFolder _folders = new();

    public void Dispose() => _folders.Dispose();

    [Theory]
    [InlineData(Ending.Killed)]
    [InlineData(Ending.PowerLost)]
    [InlineData(Ending.Full)]
    public void At_any_step_it_is_refused_and_can_be_resumed(Ending ending)
    {
        FailingFolder whole = Counted(out Dictionary<string, byte[]> expected);
        Assert.True(expected.Keys.Count(name => name.EndsWith(".safetensors", StringComparison.Ordinal)) >= 4);
        // Around every operation, and between them.
        long[] steps = [.. whole.Operations.SelectMany(at => (long[])[at - 1, at, at + 1])
            .Concat(Enumerable.Range(0, 60).Select(i => i * whole.Steps / 60)).Where(step => step >= 0 && step < whole.Steps).Distinct().Order()];
        Assert.True(steps.Length > 100);
        int refused = 0;
        foreach (long step in steps)
        {
            string folder = _folders[$"{ending}-{step}"];
            FailingFolder failing = new(folder, ending, step);
            Exception? ended = Record.Exception(() => Convert(failing));
            if (ending == Ending.Full)
            {
                // The only operations behind the last byte cannot fail so.
                if (ended is not null) Assert.Contains("No space left", Assert.IsType<IOException>(ended).Message);
            }
            else
            {
                Assert.IsType<FailingFolder.KilledException>(ended);
            }
            if (!Opens(folder)) refused++;
            else AssertSame(expected, folder);
            Convert(new FailingFolder(folder));
            AssertSame(expected, folder);
            Directory.Delete(folder, recursive: true);
        }
        Assert.True(refused >= steps.Length - 4, $"{refused} of {steps.Length} were refused");
    }

    [Fact]
    public void Resuming_can_be_interrupted_too()
    {
        Counted(out Dictionary<string, byte[]> expected);
        string folder = _folders["again"];
        int attempts = 0;
        // Each attempt gets a file further, since what is complete counts no more.
        for (long step = expected.Values.Max(bytes => bytes.Length) + 10_000; ; attempts++)
        {
            Assert.InRange(attempts, 0, 50);
            if (Record.Exception(() => Convert(new FailingFolder(folder, attempts % 2 == 0 ? Ending.Killed : Ending.PowerLost, step))) is null) break;
            Assert.False(Opens(folder));
        }
        Assert.InRange(attempts, 2, 50);
        AssertSame(expected, folder);
    }

    [Fact]
    public void What_is_complete_is_kept_and_what_was_damaged_since_is_written_again()
    {
        Counted(out Dictionary<string, byte[]> expected);
        string folder = _folders["damaged"];
        Convert(new FailingFolder(folder));
        ConversionResult again = Convert(new FailingFolder(folder));
        Assert.Equal(0, again.BytesWritten);

        string shard = Path.Combine(folder, expected.Keys.First(name => name.StartsWith("model-00002", StringComparison.Ordinal)));
        byte[] bytes = File.ReadAllBytes(shard);
        bytes[^7] ^= 1;
        File.WriteAllBytes(shard, bytes);
        // Killed while it mends, the folder is refused although all its files are there.
        FailingFolder mending = new(folder, Ending.Killed, 20_000);
        Assert.Throws<FailingFolder.KilledException>(() => Convert(mending));
        Assert.False(Opens(folder));
        ConversionResult mended = Convert(new FailingFolder(folder));
        Assert.Equal(bytes.Length, mended.BytesWritten);
        AssertSame(expected, folder);

        File.Delete(shard);
        Assert.False(Opens(folder));
        Assert.Equal(bytes.Length, Convert(new FailingFolder(folder)).BytesWritten);
        AssertSame(expected, folder);
    }

    [Fact]
    public void An_unfinished_folder_says_how_to_finish_it()
    {
        string folder = _folders["unfinished"];
        Assert.Throws<FailingFolder.KilledException>(() => Convert(new FailingFolder(folder, Ending.Killed, 150_000)));
        string message = Assert.Throws<CheckpointException>(() => Checkpoint.Open(folder)).Message;
        Assert.Contains("unfinished conversion", message);
        Assert.Contains("ldlvk convert", message);
    }

    [Fact]
    public void A_full_disk_is_known_beforehand()
    {
        string folder = _folders["small"];
        string message = Assert.Throws<IOException>(() => Convert(new FailingFolder(folder) { Free = 100_000 })).Message;
        Assert.Contains("are needed", message);
        Assert.Contains("0.00 GB are free", message);
        Assert.False(Directory.Exists(folder));

        // What is there already needs no room.
        Assert.Throws<FailingFolder.KilledException>(() => Convert(new FailingFolder(folder, Ending.Killed, 300_000)));
        long left = Counted(out _).Steps - 200_000;
        Convert(new FailingFolder(folder) { Free = left });
    }

    [Fact]
    public void Cancelled_it_goes_on_later()
    {
        Counted(out Dictionary<string, byte[]> expected);
        string folder = _folders["cancelled"];
        using CancellationTokenSource stop = new();
        Stopper progress = new(stop);
        Assert.ThrowsAny<OperationCanceledException>(() => Converter.Run(Source, new FailingFolder(folder), WeightFormat.Int8, ShardBytes, progress, stop.Token));
        Assert.False(Opens(folder));
        ConversionResult rest = Convert(new FailingFolder(folder));
        Assert.InRange(rest.BytesWritten, 1, rest.Bytes - 50_000);
        AssertSame(expected, folder);
    }

    [Fact]
    public void Two_at_once_are_refused()
    {
        string folder = _folders["locked"];
        using (new OutputFolder(folder).Lock())
            Assert.Contains("Another conversion", Assert.Throws<UsageException>(() => Convert(new OutputFolder(folder))).Message);
        Assert.False(Directory.Exists(folder));
    }

    private static ConversionResult Convert(OutputFolder folder) => Converter.Run(Source, folder, WeightFormat.Int8, ShardBytes);

    private FailingFolder Counted(out Dictionary<string, byte[]> files)
    {
        FailingFolder whole = new(_folders["whole"]);
        if (Directory.Exists(whole.Path)) Directory.Delete(whole.Path, recursive: true);
        Convert(whole);
        files = Directory.GetFiles(whole.Path).ToDictionary(path => Path.GetFileName(path), File.ReadAllBytes);
        return whole;
    }

    private static bool Opens(string folder)
    {
        try
        {
            Checkpoint.Open(folder).Dispose();
            return true;
        }
        catch (CheckpointException)
        {
            return false;
        }
    }

    private static void AssertSame(Dictionary<string, byte[]> expected, string folder)
    {
        Assert.Equal(expected.Keys.Order(StringComparer.Ordinal), Directory.GetFiles(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
        foreach ((string name, byte[] bytes) in expected) Assert.True(bytes.AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(folder, name))), $"{folder}: {name} differs");
    }

    private sealed class Stopper(CancellationTokenSource stop) : IProgress<ConversionProgress>
    {
        public void Report(ConversionProgress value)
        {
            if (value.BytesDone > value.BytesTotal / 2) stop.Cancel();
        }
    }
}
