using System.CommandLine;
using System.Globalization;
using LdlVk.Benchmarking;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk tune</c>: finds the fastest tiles of a model's matrix products on a device.</summary>
internal sealed class TuneCommand
{
    private const string Notes = """
        Measures the tilings of a model's matrix products, with weights generated on the device, and saves the fastest in the user's cache
        folder for this device and driver version. All tilings give bitwise equal results: tuning affects speed, never a score.
        The first time a model runs on a GPU, its most important products are tuned automatically; this command tunes all of them.
        --compute fp16x tunes the products of that mode; those of int8 are not tuned.
        --json writes one object per line for each product; a number of rows covers all numbers down to the next smaller one.
        """;

    private readonly Terminal _terminal;
    private readonly Option<string> _shape = new("--shape")
    {
        Description = "Shape of the model.",
        HelpName = BenchShape.Names,
        DefaultValueFactory = _ => "gemma2-27b",
    };
    private readonly Option<string?> _model = new("--model")
    {
        Description = "Folder of a model, to use its shape instead.",
        HelpName = "DIR",
    };
    private readonly Option<string?> _adapter = ModelFlags.CreateAdapter();
    private readonly Option<string?> _head = HeadFlags.CreateHead();
    private readonly Option<string> _weights = new("--weights")
    {
        Description = "Formats of the weights, one after another.",
        HelpName = "fp32|fp16|int8|int4,…",
        DefaultValueFactory = _ => "fp16",
    };
    private readonly Option<string> _compute = ModelFlags.Choice("--compute", "auto|fp16|fp16x", "How the products are computed.");
    private readonly Option<string?> _rows = new("--rows")
    {
        Description = "Numbers of rows [default: 1 and 16, 32, … up to a micro-batch].",
        HelpName = "N,…",
    };
    private readonly Option<string?> _seconds = new("--seconds")
    {
        Description = "Approximate time limit; products that are not reached keep their default tiles.",
        HelpName = "N",
    };
    private readonly Option<string> _device = DeviceFlags.CreateDevice();
    private readonly Option<string> _kernels = DeviceFlags.CreateKernels();
    private readonly Option<bool> _json = new("--json") { Description = "Write JSON lines." };
    private readonly Option<bool> _quiet = ModelFlags.CreateQuiet();

    private TuneCommand(Terminal terminal) => _terminal = terminal;

    public static Command Create(Terminal terminal)
    {
        TuneCommand tune = new(terminal);
        NotedCommand command = new("tune", "Find the fastest tiles of a model's matrix products on a device.", Notes);
        Option[] options =
        [
            tune._device, tune._kernels, tune._shape, tune._model, tune._adapter, tune._head, tune._weights, tune._compute, tune._rows,
            tune._seconds, tune._json, tune._quiet,
        ];
        foreach (Option option in options) command.Options.Add(option);
        command.SetAction((call, cancellationToken) => Task.FromResult(tune.Run(call, cancellationToken)));
        return command;
    }

    private int Run(ParseResult call, CancellationToken cancellationToken)
    {
        BenchShape shape = ReadShape(call);
        WeightFormat[] formats = FlagValue.Read(_weights.Name, call.GetValue(_weights)!, WeightFormatList.Parse);
        ComputeMode compute =
            ModelValues.OneOf(call, _compute, "auto|fp16|fp16x") == "fp16x" ? ComputeMode.Fp16x : ComputeMode.Auto;
        foreach (WeightFormat format in formats) ModelMemory.CheckCompute(compute, format);
        int[]? rows = call.GetValue(_rows)?.Split(',').Select(text => Number(_rows.Name, text, 1 << 16)).ToArray();
        TimeSpan? limit = call.GetValue(_seconds) is { } seconds ? TimeSpan.FromSeconds(Number(_seconds.Name, seconds, 1 << 16)) : null;
        DeviceInfo info = ComputeDevices.Candidates(call.GetValue(_device)!, ModelValues.Kernels(call, _kernels))[0];
        bool json = call.GetValue(_json);
        using IDevice device = ComputeDevices.Open(info);
        using Screen screen = new(_terminal);
        if (device is not ITunableDevice tunable)
        {
            if (!json) screen.Line($"{Screen.Safe(Readable.Device(info))} has nothing to tune.");
            return ExitCode.Success;
        }

        ModelMemory.CheckCompute(compute, [info]);
        rows ??= [1, .. Enumerable.Range(4, 16).Select(power => 1 << power).TakeWhile(r => r <= RewardModelOptions.DefaultBatchTokens)];
        LinearProduct[] products = [.. formats.SelectMany(format => LayerProducts.Of(shape.Config, format, rows, compute))];
        using StatusLine status = new(_terminal, call.GetValue(_quiet));
        TuneReport report = new(screen, new ResultWriter(_terminal.Out), status, info, json);
        report.Begin(shape.Name);
        bool kept = tunable.Tune(products, limit, report, cancellationToken);
        status.Dispose();
        if (!kept)
        {
            string why = tunable.ChoicesFile is { } file ? $" in {file}: make the folder writable"
                : ": there is no folder for caches; set HOME or XDG_DATA_HOME";
            throw new DeviceException($"The choices could not be saved{why}.");
        }

        if (!json) screen.Line($"Saved in {Screen.Safe(tunable.ChoicesFile!)}");
        return ExitCode.Success;
    }

    private BenchShape ReadShape(ParseResult call)
    {
        string? adapter = ModelValues.Adapter(call, _adapter), head = call.GetValue(_head);
        ModelValues.RequireModel(call, _model, _adapter, _head);
        if (call.GetValue(_model) is not { } folder) return FlagValue.Read(_shape.Name, call.GetValue(_shape)!, BenchShape.Parse);
        if (folder.Length == 0) throw new UsageException("--model is empty. Give the folder of the model.");
        if (call.GetResult(_shape) is { Implicit: false }) throw new UsageException("--model has a shape of its own: leave out --shape.");
        using Checkpoint checkpoint = Checkpoint.Open(folder, adapter, head);
        return new BenchShape(Path.GetFileName(checkpoint.Folder), checkpoint.Config);
    }

    private static int Number(string flag, string text, int most) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value >= 1 && value <= most
            ? value : throw new UsageException($"{flag} {text}: give whole numbers from 1 to {most}.");
}
