using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Testing;

namespace LdlVk.Bench;

/// <summary>What <c>peers</c> is asked for.</summary>
internal sealed record PeerSettings
{
    public required string Cache { get; init; }
    public required string LlamaCpp { get; init; }
    public required string LlamaCppLibrary { get; init; }

    /// <summary>The script of the PyTorch peer; null where there is no PyTorch.</summary>
    public string? Torch { get; init; }

    public string Device { get; init; } = "vulkan:0";
    /// <summary>A shape of ldlvk bench, of which two layers are measured; null for <see cref="Shape"/>.</summary>
    public string? Published { get; init; }

    public SyntheticShape Shape { get; init; } = SyntheticShape.Peer8;

    /// <summary>Texts side by side, and tokens of each.</summary>
    public IReadOnlyList<(int Texts, int Tokens)> Sizes { get; init; } = [(1, 128), (1, 512)];

    public IReadOnlyList<WeightFormat> Weights { get; init; } = [WeightFormat.Fp16, WeightFormat.Int8];

    /// <summary>How LdlVk multiplies; llama.cpp's CPU backend and its kernels for integers quantize what they multiply, as Int8 does.</summary>
    public ComputeMode Compute { get; init; }
    public int Rounds { get; init; } = 5;
    public bool Accuracy { get; init; }
    public bool Cold { get; init; }
    public bool Families { get; init; }

    /// <summary>Reads <c>--name value</c> pairs.</summary>
    public static PeerSettings Parse(IReadOnlyList<string> args)
    {
        PeerSettings settings = new() { Cache = "", LlamaCpp = "", LlamaCppLibrary = "" };
        for (int i = 0; i < args.Count; i++)
        {
            settings = args[i] switch
            {
                "--cache" => settings with { Cache = args[++i] },
                "--llama-cpp" => settings with { LlamaCpp = args[++i] },
                "--llama-cpp-lib" => settings with { LlamaCppLibrary = args[++i] },
                "--torch" => settings with { Torch = args[++i] },
                "--device" => settings with { Device = args[++i] },
                "--tokens" => settings with { Sizes = [.. args[++i].Split(',').Select(n => (1, Whole(n)))] },
                "--batch" => settings with { Sizes = [.. settings.Sizes, .. args[++i].Split(',').Select(b => b.Split('x')).Select(b => (Whole(b[0]), Whole(b[1])))] },
                "--weights" => settings with { Weights = [.. args[++i].Split(',').Select(w => Enum.Parse<WeightFormat>(w, ignoreCase: true))] },
                "--full-layer" => settings with { Shape = SyntheticShape.Peer8 with { Hidden = 4608, Layers = 2, Heads = 32, KeyValueHeads = 16, FeedForward = 36864 } },
                "--shape" => settings with { Published = args[++i], Shape = settings.Shape with { Layers = 2 } },
                "--compute" => settings with { Compute = Enum.Parse<ComputeMode>(args[++i], ignoreCase: true) },
                "--layers" => settings with { Shape = settings.Shape with { Layers = Whole(args[++i]) } },
                "--rounds" => settings with { Rounds = Whole(args[++i]) },
                "--accuracy" => settings with { Accuracy = true },
                "--cold" => settings with { Cold = true },
                "--families" => settings with { Families = true },
                _ => throw new ArgumentException($"bench/peers knows no {args[i]}; its head says what it takes."),
            };
        }

        return settings;

        static int Whole(string text) => int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);
    }
}

/// <summary>LdlVk and other runtimes with the same weights, in turn on the same device: speed, or the error of the last hidden state.</summary>
internal sealed class Peers(PeerSettings settings)
{
    /// <summary>llama.cpp's name of our format.</summary>
    private static string GgufType(WeightFormat format) => format switch
    {
        WeightFormat.Fp32 => "f32",
        WeightFormat.Fp16 => "f16",
        WeightFormat.Int8 => "q8_0",
        _ => throw new ArgumentException($"llama.cpp has no twin of {format}."),
    };

    private bool OnCpu => settings.Device == "cpu";

    /// <summary>Interleaved runs and their ratios.</summary>
    public void Speed()
    {
        string folder = Checkpoint(1);
        DeviceInfo device = ComputeDevices.Candidates(settings.Device)[0];
        foreach (WeightFormat format in settings.Weights)
        {
            using Loaded ours = new(device, folder, format, settings.Compute);
            Peer[] peers = [.. OpenPeers(folder, format, [])];
            Say($"{format}: LdlVk on {device.Id} {device.Name} ({device.Driver}), {ours.LoadSeconds:F1} s to load");
            foreach (Peer peer in peers) Say($"{format}: {peer.Name} on {peer.Device}, {peer.LoadSeconds:F1} s to load");
            foreach ((int texts, int tokens) in settings.Sizes) Compare(ours, peers, texts, tokens);
            foreach (Peer peer in peers) peer.Dispose();
            Start(device, folder, format, cold: false);
        }
    }

    /// <summary>The very first start of each, kernels compiled anew.</summary>
    public void ColdStarts()
    {
        string folder = Checkpoint(1);
        DeviceInfo device = ComputeDevices.Candidates(settings.Device)[0];
        foreach (WeightFormat format in settings.Weights) Start(device, folder, format, cold: true);
    }

    /// <summary>Relative L2 errors of the last hidden state against LdlVk's CPU device with fp32 weights.</summary>
    public void Errors()
    {
        const int Tokens = 128;
        DeviceInfo device = ComputeDevices.Candidates(settings.Device)[0];
        foreach (double gain in (double[])[1, 20000])
        {
            string folder = Checkpoint(gain);
            float[] reference;
            using (Loaded exact = new(ComputeDevices.Candidates("cpu")[0], folder, WeightFormat.Fp32, ComputeMode.Auto)) reference = exact.Hidden(Tokens);
            foreach (WeightFormat format in settings.Weights)
            {
                float[] ours, theirs;
                using (Loaded model = new(device, folder, format, settings.Compute)) ours = model.Hidden(Tokens);
                using (Peer peer = LlamaCpp(folder, format, "embed", [])) theirs = peer.Hidden(Tokens);
                Say($"FFN of one layer × {gain}, {format}: relative L2 error of LdlVk {Error(ours, reference):E2}, of llama.cpp {Error(theirs, reference):E2}");
            }
        }
    }

    private void Compare(Loaded ours, IReadOnlyList<Peer> peers, int texts, int tokens)
    {
        double first = ours.Run(texts, tokens);
        double[] firsts = [.. peers.Select(p => p.Run(texts, tokens))];
        double[] own = new double[settings.Rounds];
        double[][] others = [.. peers.Select(_ => new double[settings.Rounds])];
        for (int round = 0; round < settings.Rounds; round++)
        {
            own[round] = ours.Run(texts, tokens);
            for (int i = 0; i < peers.Count; i++) others[i][round] = peers[i].Run(texts, tokens);
        }

        int all = texts * tokens;
        Say($"{ours.Format}, {texts} × {tokens} tokens: LdlVk {all / Median(own):F1} tokens/s (best {all / own.Min():F1}; first run {first:F1} s)");
        for (int i = 0; i < peers.Count; i++)
            Say($"{ours.Format}, {texts} × {tokens} tokens: {peers[i].Name} {all / Median(others[i]):F1} tokens/s (best {all / others[i].Min():F1}; first run {firsts[i]:F1} s); LdlVk is {Median(others[i]) / Median(own):F2} times as fast (best runs {others[i].Min() / own.Min():F2})");
    }

    /// <summary>
    /// Each from its start to the result of the largest size, in a process of its own, with the most memory that it had meanwhile: with the kernels
    /// that earlier runs have left, or with all of them compiled anew, by the driver too.
    /// </summary>
    private void Start(DeviceInfo device, string folder, WeightFormat format, bool cold)
    {
        SyntheticShape s = settings.Shape;
        string shape = settings.Published ?? $"hidden={s.Hidden},layers={s.Layers},heads={s.Heads},kv-heads={s.KeyValueHeads},head-dim={s.HeadDimension},ffn={s.FeedForward},vocab={s.Vocabulary}";
        (int texts, int tokens) = settings.Sizes.MaxBy(size => size.Texts * size.Tokens);
        (string, string)[] environment = cold ? [("MESA_SHADER_CACHE_DISABLE", "true"), ("__GL_SHADER_DISK_CACHE", "0")] : [];
        ProcessStartInfo start = new(Repository.Path("ldlvk"),
            ["bench", .. cold ? ["--cold"] : (string[])[], "--json", "--quiet", "--runs", "1", "--shape", shape, "--layers", $"{s.Layers}", "--batch", $"{texts}x{tokens}", "--device", device.Id, "--weights", format.ToString().ToLowerInvariant(), "--compute", settings.Compute.ToString().ToLowerInvariant()])
        { RedirectStandardOutput = true };
        foreach ((string variable, string value) in environment) start.Environment[variable] = value;
        using Process process = Process.Start(start)!;
        string line = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0) throw new InvalidOperationException("ldlvk bench failed; what it said is above.");
        using JsonDocument json = JsonDocument.Parse(line);
        long megabytes = json.RootElement.GetProperty("peak_process_bytes").GetInt64() >> 20;
        foreach (Peer opened in OpenPeers(folder, format, environment))
        {
            using Peer peer = opened;
            double seconds = peer.LoadSeconds + peer.Run(texts, tokens);
            Say($"{format}, {texts} × {tokens} tokens, kernels {(cold ? "compiled anew" : "kept from earlier runs")}: LdlVk {json.RootElement.GetProperty("cold_start_seconds").GetDouble():F1} s to the first result and at most {megabytes} MB, {peer.Name} {seconds:F1} s and {peer.PeakMegabytes} MB; {(double)megabytes / peer.PeakMegabytes:F2} of its memory");
        }
    }

    /// <summary>Starts the runtimes that have such weights, each when it is asked for.</summary>
    private IEnumerable<Peer> OpenPeers(string folder, WeightFormat format, (string, string)[] environment)
    {
        yield return LlamaCpp(folder, format, "logits", environment);
        if (settings.Torch is not { } script || format != WeightFormat.Fp16) yield break;
        foreach (string attention in (string[])["eager", "flex_attention"])
            yield return new Peer($"PyTorch bf16 {attention}", ["python3", script, attention, folder], environment);
    }

    private Peer LlamaCpp(string folder, WeightFormat format, string mode, (string, string)[] environment)
    {
        string type = GgufType(format), file = Path.Combine(folder, $"{type}.gguf");
        if (!File.Exists(file))
        {
            using Checkpoint checkpoint = Runtime.Model.Checkpoint.Open(folder);
            GgufFile.Write(file + ".part", checkpoint, type);
            File.Move(file + ".part", file, overwrite: true);
        }

        string number = OnCpu ? "" : ComputeDevices.Candidates(settings.Device)[0].Id["vulkan:".Length..];
        int texts = settings.Sizes.Max(s => s.Texts), tokens = settings.Sizes.Max(s => s.Texts * s.Tokens);
        return new Peer($"llama.cpp {type}",
            [settings.LlamaCpp, settings.LlamaCppLibrary, file, OnCpu ? "cpu" : "vulkan", $"{Environment.ProcessorCount}", $"{texts}", $"{(tokens + texts - 1) / texts}", mode],
            // It passes software drivers over unless they are named.
            OnCpu ? environment : [.. environment, ("GGML_VK_VISIBLE_DEVICES", number)]);
    }

    /// <summary>The folder of the made-up weights; <paramref name="gain"/> multiplies one layer's up projection.</summary>
    private string Checkpoint(double gain)
    {
        if (settings.Published is { } published) return FamilyCheckpoint.Make(settings.Cache, published, settings.Shape.Layers);
        SyntheticShape s = settings.Shape with { Fp32 = true, UpGain = gain };
        string folder = Path.Combine(settings.Cache, $"gemma2-{s.Hidden}-{s.Layers}-{s.Heads}-{s.KeyValueHeads}-{s.HeadDimension}-{s.FeedForward}-{s.Vocabulary}-x{gain}");
        if (Directory.Exists(folder)) return folder;
        string part = folder + ".part";
        if (Directory.Exists(part)) Directory.Delete(part, recursive: true);
        SyntheticCheckpoint.Write(part, s);
        Directory.Move(part, folder);
        return folder;
    }

    private static double Error(float[] got, float[] wanted) =>
        Math.Sqrt(got.Zip(wanted, (g, w) => Math.Pow((double)g - w, 2)).Sum() / wanted.Sum(w => (double)w * w));

    private static double Median(double[] values) => values.Order().Skip((values.Length - 1) / 2).Take(2 - (values.Length % 2)).Average();

    private static void Say(FormattableString text) => Console.WriteLine(text.ToString(CultureInfo.InvariantCulture));

    /// <summary>LdlVk with a checkpoint on a device.</summary>
    private sealed class Loaded : IDisposable
    {
        private readonly IDevice _device;
        private readonly Checkpoint _checkpoint;
        private readonly ScoringEngine _engine;

        public Loaded(DeviceInfo device, string folder, WeightFormat format, ComputeMode compute)
        {
            Format = format;
            long start = Stopwatch.GetTimestamp();
            _device = ComputeDevices.Open(device);
            _checkpoint = Runtime.Model.Checkpoint.Open(folder);
            _engine = ScoringEngine.Load(_device, _checkpoint, new LoadSettings(format, Compute: compute));
            LoadSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        }

        public WeightFormat Format { get; }

        public double LoadSeconds { get; }

        public double Run(int texts, int tokens)
        {
            MicroBatch batch = Batch(texts, tokens);
            long start = Stopwatch.GetTimestamp();
            _engine.Score(batch);
            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        }

        public float[] Hidden(int tokens) => _engine.ScoreWithHidden(Batch(1, tokens)).Hidden;

        public void Dispose()
        {
            _engine.Dispose();
            _checkpoint.Dispose();
            _device.Dispose();
        }

        private MicroBatch Batch(int texts, int tokens) => Packer.Pack(
            [.. Enumerable.Range(0, texts).Select(t => SyntheticModel.TokenIds(t, tokens, _checkpoint.Config.VocabularySize))], texts * tokens, sharePrefixes: false).Single();
    }
}
