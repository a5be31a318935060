using System.CommandLine;
using System.Globalization;
using LdlVk.Benchmarking;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk bench</c>: measures the speed of a device, and the time of each op.</summary>
internal sealed class BenchCommand
{
    private const string Notes = """
        The weights are generated on the device; nothing is downloaded. A shape is a backbone without heads; --model measures a whole reward
        model. TFLOP/s count the necessary arithmetic of Linear and Attention: 2·M·N·K per product, and 4·head_dim per head, query and
        visible key. The last layer computes keys and values of all tokens, and everything else only for the last token of each text.
        --predict needs no card: of gemma2-27b unless --shape is given, by a roofline of what the maker says of the card. Where the card
        is one of those, a measurement has the prediction beside it.
        The peak rate is the best rate of LdlVk's Linear with a square matrix in the same format; the peak traffic is that of a copy on
        the device. Times of ops come from the device's clock, in one run after the timed ones.
        --json writes one object per line for each measurement.
        """;

    private readonly Terminal _terminal;
    private readonly Option<string> _shape = new("--shape")
    {
        Description = "Shape of the synthetic model.",
        HelpName = BenchShape.Names,
        DefaultValueFactory = _ => "peer8",
    };
    private readonly Option<string?> _layers = new("--layers") { Description = "Number of layers instead of the shape's.", HelpName = "N" };
    private readonly Option<string?> _model = new("--model")
    {
        Description = "Folder of a model to measure instead of a shape.",
        HelpName = "DIR",
    };
    private readonly Option<string?> _adapter = ModelFlags.CreateAdapter();
    private readonly ScenarioFlags _scenarios = new();
    private readonly Option<string> _weights = new("--weights")
    {
        Description = "Formats of the weights, one after another.",
        HelpName = "fp32|fp16|int8|int4,…",
        DefaultValueFactory = _ => "fp16",
    };
    private readonly Option<string> _compute = ModelFlags.CreateCompute();
    private readonly Option<string> _device = DeviceFlags.CreateDevice();
    private readonly Option<string> _kernels = DeviceFlags.CreateKernels();
    private readonly Option<string?> _batchTokens = SpeedFlags.CreateBatchTokens();
    private readonly Option<string?> _memory = ModelFlags.CreateMemory();
    private readonly Option<string?> _head = HeadFlags.CreateHead();
    private readonly Option<string?> _runs = new("--runs") { Description = "Timed runs of each measurement [default: 5].", HelpName = "N" };
    private readonly Option<bool> _cold = new("--cold")
    {
        Description = "Compile all kernels, as on the very first start. Drivers may have a cache of their own (Mesa: "
            + "MESA_SHADER_CACHE_DISABLE=true).",
    };
    private readonly Option<bool> _ops = new("--ops")
    {
        Description = "Measure every op by itself, at the shape's sizes and 1 to 2048 rows; products also with sums in fp16, where the "
            + "device has them.",
    };
    private readonly Option<string?> _predict = new("--predict")
    {
        Description = "Predict the speed of a card that is not here, by its maker's figures; list names the cards.",
        HelpName = "CARD|list",
    };
    private readonly Option<bool> _json = new("--json") { Description = "Write JSON lines." };
    private readonly Option<bool> _quiet = ModelFlags.CreateQuiet();

    private BenchCommand(Terminal terminal) => _terminal = terminal;

    public static Command Create(Terminal terminal)
    {
        BenchCommand bench = new(terminal);
        NotedCommand command = new("bench", "Measure how fast a device computes a model, and where the time goes.", Notes);
        Option[] options =
        [
            bench._shape, bench._layers, bench._model, bench._adapter, bench._head, .. bench._scenarios.All, bench._weights,
            bench._compute, bench._device, bench._kernels, bench._batchTokens, bench._memory, bench._runs, bench._cold, bench._ops,
            bench._predict, bench._json, bench._quiet,
        ];
        foreach (Option option in options) command.Options.Add(option);
        command.SetAction((call, cancellationToken) => Task.FromResult(bench.Run(call, cancellationToken)));
        return command;
    }

    private int Run(ParseResult call, CancellationToken cancellationToken)
    {
        // Cheap checks come first.
        if (call.GetValue(_ops)) ScenarioFlags.RefuseUnused(call, _ops, [.. _scenarios.All, _compute, _batchTokens, _memory, _runs]);
        string? card = call.GetValue(_predict);
        if (card is not null) ScenarioFlags.RefuseUnused(call, _predict, [_device, _kernels, _memory, _runs, _cold, _ops]);
        BenchShape shape = FlagValue.Read(
            _shape.Name, card is not null && call.GetResult(_shape) is null or { Implicit: true }
                ? BenchPrediction.Shape : call.GetValue(_shape)!, BenchShape.Parse);
        if (Number(call, _layers) is { } layers) shape = shape.WithLayers(layers);
        WeightFormat[] formats = FlagValue.Read(_weights.Name, call.GetValue(_weights)!, WeightFormatList.Parse);
        ComputeMode compute = ModelValues.Compute(call, _compute);
        foreach (WeightFormat format in formats) ModelMemory.CheckCompute(compute, format);
        int runs = Number(call, _runs) ?? 5;
        using Checkpoint? checkpoint = OpenModel(call);
        if (checkpoint is not null) shape = new BenchShape(Path.GetFileName(checkpoint.Folder), checkpoint.Config);
        ScenarioPlan plan = _scenarios.Read(call, shape, ModelValues.BatchTokens(call, _batchTokens));
        bool cold = call.GetValue(_cold);

        using Screen screen = new(_terminal);
        if (card is not null)
        {
            BenchPrediction.Show(
                card, _predict.Name, shape, formats, compute, plan, call.GetValue(_json), screen, new ResultWriter(_terminal.Out));
            return ExitCode.Success;
        }

        DeviceInfo device = ComputeDevices.Candidates(call.GetValue(_device)!, ModelValues.Kernels(call, _kernels))[0];
        ModelMemory.CheckCompute(compute, [device]);
        using StatusLine status = new(_terminal, call.GetValue(_quiet));
        BenchOutput output = new(new BenchReport(screen), new ResultWriter(_terminal.Out), status, call.GetValue(_json));
        foreach (WeightFormat format in formats)
        {
            if (call.GetValue(_ops))
            {
                BenchOps.Measure(device, shape, format, !cold, output, first: format == formats[0], cancellationToken);
                continue;
            }

            BenchRequest request = new(device, shape, format, [.. plan.All])
            {
                Checkpoint = checkpoint, Compute = compute, MemoryLimit = ReadMemory(call), UseKeptKernels = !cold,
            };
            Measure(request, plan, runs, output, cancellationToken);
        }

        return ExitCode.Success;
    }

    private static void Measure(BenchRequest request, ScenarioPlan plan, int runs, BenchOutput output, CancellationToken cancellationToken)
    {
        ExecutionPlan layers = request.MakePlan();
        if (layers.Streams && request.MemoryLimit is null)
        {
            throw new DeviceException(
                $"{request.DescribeMemory()} Use fewer --layers, smaller --weights or fewer tokens, or give --memory to measure with "
                    + "layers that are streamed.");
        }

        using BenchSession session = BenchSession.Open(
            request, layers, step => output.Status.Show(() => $"{request.Device.Id}: {step}"), cancellationToken);
        if (!output.Json) output.Report.Begin(session.Context, layers);
        foreach (Scenario single in plan.Singles) Take(single);
        foreach ((Scenario full, Scenario shared) in plan.Shared)
        {
            Measurement slow = Take(full), fast = Take(shared);
            if (!output.Json) output.Report.WriteSharing(slow, fast);
        }

        if (!output.Json) output.Report.End(session.Memory);

        Measurement Take(Scenario scenario)
        {
            output.Status.Show(() => $"{request.Device.Id}: {scenario.Label}");
            Measurement taken = session.Measure(scenario, runs, cancellationToken);
            if (output.Json) output.Lines.Write(o => BenchJson.Write(o, session.Context, taken, session.Memory));
            else output.Report.Write(session.Context, taken);
            return taken;
        }
    }

    private long? ReadMemory(ParseResult call) => ModelValues.Memory(call, _memory) switch
    {
        [] => null,
        [long limit] => limit,
        _ => throw new UsageException("--memory has several values, but bench uses one device at a time. Give one."),
    };

    private Checkpoint? OpenModel(ParseResult call)
    {
        string? adapter = ModelValues.Adapter(call, _adapter);
        ModelValues.RequireModel(call, _model, _adapter, _head);
        if (call.GetValue(_model) is not { } folder) return null;
        if (folder.Length == 0) throw new UsageException("--model is empty. Give the folder of the model.");
        if (call.GetResult(_shape) is { Implicit: false } || call.GetValue(_layers) is not null)
            throw new UsageException("--model has a shape of its own: leave out --shape and --layers.");
        return Checkpoint.Open(folder, adapter, call.GetValue(_head));
    }

    private static int? Number(ParseResult call, Option<string?> option)
    {
        const int Max = 1000;
        if (call.GetValue(option) is not { } text) return null;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value is >= 1 and <= Max
            ? value : throw new UsageException($"{option.Name} {text}: give a whole number from 1 to {Max}.");
    }
}
