using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using LdlVk.Cli.Bench;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Runtime;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk bench</c>: how fast a device is, and where its time goes.</summary>
internal sealed class BenchCommand
{
    private const string Notes = """
        Made-up weights, made on the device: nothing is downloaded. A shape is the backbone; with --model the whole reward model is measured.
        TFLOP/s count the arithmetic of Linear and Attention that was asked for: 2·M·N·K of a product, 4·head_dim of each head, query and key that
        the query sees; of the last layer keys and values of all tokens, the rest for each text's last token alone.
        The peak is the best rate of our own Linear with a square matrix in the same format, the traffic's that of a copy on the device.
        Times of ops are the device's own (timestamps), of one run after the timed ones.
        With --json, one object a line for each measurement.
        """;

    private readonly Terminal _terminal;
    private readonly Option<string> _shape = new("--shape") { Description = "Shape of the made-up model.", HelpName = BenchShape.Names, DefaultValueFactory = _ => "peer8" };
    private readonly Option<string?> _layers = new("--layers") { Description = "Number of layers instead of the shape's.", HelpName = "N" };
    private readonly Option<string?> _model = new("--model") { Description = "Folder of a model to measure instead of a shape.", HelpName = "DIR" };
    private readonly Option<string?> _tokens = new("--tokens") { Description = "One text of each of these lengths [default: 128,512, unless --batch or --best-of is given].", HelpName = "N,…" };
    private readonly Option<string?> _batch = new("--batch") { Description = "Several texts side by side: 4x512 is 4 texts of 512 tokens.", HelpName = "TEXTSxN,…" };
    private readonly Option<string?> _bestOf = new("--best-of") { Description = "Answers to one prompt, with and without sharing it: 16x1000+100 is 16 answers of 100 tokens to a prompt of 1000.", HelpName = "ANSWERSxPROMPT+ANSWER,…" };
    private readonly Option<string> _weights = new("--weights") { Description = "Formats of the weights, one after another.", HelpName = "fp32|fp16|int8|int4,…", DefaultValueFactory = _ => "fp16" };
    private readonly Option<string> _compute = ModelFlags.CreateCompute();
    private readonly Option<string> _device = ModelFlags.CreateDevice();
    private readonly Option<string?> _batchTokens = ModelFlags.CreateBatchTokens();
    private readonly Option<string?> _memory = ModelFlags.CreateMemory();
    private readonly Option<string?> _runs = new("--runs") { Description = "Timed runs of each measurement [default: 5].", HelpName = "N" };
    private readonly Option<bool> _cold = new("--cold") { Description = "Compile all kernels, as at the very first start. Drivers may keep a cache of their own (Mesa: MESA_SHADER_CACHE_DISABLE=true)." };
    private readonly Option<bool> _ops = new("--ops") { Description = "Measure every op by itself, at the shape's sizes and 1 to 2048 rows." };
    private readonly Option<bool> _json = new("--json") { Description = "Write JSON lines." };
    private readonly Option<bool> _quiet = ModelFlags.CreateQuiet();

    private BenchCommand(Terminal terminal) => _terminal = terminal;

    public static Command Create(Terminal terminal)
    {
        BenchCommand bench = new(terminal);
        NotedCommand command = new("bench", "Measure how fast a device computes a model, and where the time goes.", Notes);
        Option[] options = [bench._shape, bench._layers, bench._model, bench._tokens, bench._batch, bench._bestOf, bench._weights, bench._compute, bench._device,
            bench._batchTokens, bench._memory, bench._runs, bench._cold, bench._ops, bench._json, bench._quiet];
        foreach (Option option in options) command.Options.Add(option);
        command.SetAction((call, cancellation) => Task.FromResult(bench.Run(call, cancellation)));
        return command;
    }

    private int Run(ParseResult call, CancellationToken cancellation)
    {
        // What is cheap to check comes first.
        BenchShape shape = BenchShape.Parse(call.GetValue(_shape)!);
        if (Number(call, _layers) is { } layers) shape = shape.WithLayers(layers);
        WeightFormat[] formats = Formats.Read(_weights.Name, call.GetValue(_weights)!);
        ComputeMode compute = ModelFlags.ReadCompute(call, _compute);
        foreach (WeightFormat format in formats) ModelMemory.CheckCompute(compute, format);
        int runs = Number(call, _runs) ?? 5;
        using Checkpoint? checkpoint = OpenModel(call);
        if (checkpoint is not null) shape = new BenchShape(Path.GetFileName(checkpoint.Folder), checkpoint.Config);
        DeviceInfo device = ComputeDevices.Candidates(call.GetValue(_device)!)[0];
        int batchTokens = ModelFlags.ReadBatchTokens(call, _batchTokens);
        Plan plan = MakePlan(call, shape, batchTokens);

        using Screen screen = new(_terminal);
        using StatusLine status = new(_terminal, call.GetValue(_quiet));
        foreach (WeightFormat format in formats)
        {
            if (call.GetValue(_ops)) MeasureOps(device, shape, format, screen, status, call, first: format == formats[0], cancellation);
            else Measure(device, shape, checkpoint, format, compute, plan, runs, screen, status, call, cancellation);
        }

        return ExitCode.Success;
    }

    private void Measure(
        DeviceInfo info, BenchShape shape, Checkpoint? checkpoint, WeightFormat format, ComputeMode compute, Plan plan, int runs, Screen screen, StatusLine status, ParseResult call, CancellationToken cancellation)
    {
        bool cold = call.GetValue(_cold), json = call.GetValue(_json);
        Scenario first = plan.All.First();
        status.Show(() => $"{info.Id}: weights");
        long start = Stopwatch.GetTimestamp();
        IReadOnlyList<long> limits = ModelFlags.ReadMemory(call, _memory);
        if (limits.Count > 1) throw new UsageException("--memory has several figures, and bench uses one device at a time. Give one.");
        ExecutionPlan layers = BenchModel.Plan(info, shape, checkpoint, format, compute, plan.All.Max(s => s.Batches.Max(b => b.Rows)), limits);
        using IDevice opened = ComputeDevices.Open(info, limits.Count > 0 ? layers.Stages[0].Budget : null, useKeptKernels: !cold);
        // The limit is the model's, which may come close to it: yardsticks have memory of their own.
        using IDevice? unlimited = limits.Count > 0 ? ComputeDevices.Open(info, useKeptKernels: !cold) : null;
        ProfiledDevice device = new(opened);
        double open = Lap(), weights, firstRun;
        using (BenchModel model = BenchModel.Create(device, shape, checkpoint, layers, compute, cancellation))
        {
            weights = Lap();
            status.Show(() => $"{info.Id}: first result");
            model.Run(first);
            firstRun = Lap();
            // All else once, to warm up, and to see the memory before that of the yardsticks comes in.
            foreach (Scenario scenario in plan.All.Skip(1)) model.Run(scenario);
            PeakMemory memory = new(device.PeakAllocatedBytes, Process.GetCurrentProcess().PeakWorkingSet64);
            BenchContext context = new(info, shape, format, compute, Yardsticks.Measure(unlimited ?? opened, format), new ColdStart(open, weights, firstRun), !cold, device.WhyNotTimed);
            BenchReport report = new(screen);
            ResultLine lines = new(_terminal.Out);
            if (!json) report.Begin(context, layers);
            foreach (Scenario single in plan.Singles) Take(single);
            foreach ((Scenario full, Scenario shared) in plan.Shared)
            {
                Measurement slow = Take(full), fast = Take(shared);
                if (!json) report.WriteSharing(slow, fast);
            }

            if (!json) report.End(memory);

            Measurement Take(Scenario scenario)
            {
                status.Show(() => $"{info.Id}: {scenario.Label}");
                Measurement taken = Measurement.Take(device, model, scenario, runs, cancellation);
                if (json) lines.Write(o => BenchJson.Write(o, context, taken, memory));
                else report.Write(context, taken);
                return taken;
            }
        }

        double Lap()
        {
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            start = Stopwatch.GetTimestamp();
            return seconds;
        }
    }

    private void MeasureOps(DeviceInfo info, BenchShape shape, WeightFormat format, Screen screen, StatusLine status, ParseResult call, bool first, CancellationToken cancellation)
    {
        bool json = call.GetValue(_json);
        status.Show(() => $"{info.Id}: ops");
        using IDevice device = ComputeDevices.Open(info, useKeptKernels: !call.GetValue(_cold));
        BenchReport report = new(screen);
        ResultLine lines = new(_terminal.Out);
        OpBench ops = new(device, shape.Config,
            row =>
            {
                if (json) lines.Write(o => BenchJson.Write(o, info, Readable.Name(format), row));
                else report.WriteOp(row);
            },
            (name, sizes, why) =>
            {
                if (!json) report.WriteSkipped(name, sizes, why);
            });
        if (!json) report.BeginOps(info, $"{shape.Name}, {Readable.Name(format)} weights");
        ops.Run(format, others: first, cancellation);
    }

    private Checkpoint? OpenModel(ParseResult call)
    {
        if (call.GetValue(_model) is not { } folder) return null;
        if (folder.Length == 0) throw new UsageException("--model is empty. Give the folder of the model.");
        if (call.GetResult(_shape) is { Implicit: false } || call.GetValue(_layers) is not null) throw new UsageException("--model has a shape of its own: leave out --shape and --layers.");
        return Checkpoint.Open(folder);
    }

    private Plan MakePlan(ParseResult call, BenchShape shape, int batchTokens)
    {
        string? tokens = call.GetValue(_tokens), batch = call.GetValue(_batch), bestOf = call.GetValue(_bestOf);
        int vocabulary = shape.Config.VocabularySize, longest = shape.Config.MaxPositions;
        if (tokens is null && batch is null && bestOf is null) tokens = "128,512";
        return new Plan(
            [.. tokens is null ? [] : Scenario.Single(tokens, vocabulary, longest), .. batch is null ? [] : Scenario.Packed(batch, vocabulary, longest)],
            bestOf is null ? [] : [.. Scenario.BestOf(bestOf, vocabulary, longest, batchTokens)]);
    }

    private static int? Number(ParseResult call, Option<string?> option)
    {
        const int Most = 1000;
        if (call.GetValue(option) is not { } text) return null;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value is >= 1 and <= Most
            ? value : throw new UsageException($"{option.Name} {text}: give a whole number from 1 to {Most}.");
    }

    /// <summary>What is measured.</summary>
    private sealed record Plan(IReadOnlyList<Scenario> Singles, IReadOnlyList<(Scenario Full, Scenario Shared)> Shared)
    {
        public IEnumerable<Scenario> All => Singles.Concat(Shared.SelectMany(s => (Scenario[])[s.Full, s.Shared]));
    }
}
