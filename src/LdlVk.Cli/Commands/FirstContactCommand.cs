using System.CommandLine;
using System.Globalization;
using LdlVk.Benchmarking;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk first-contact</c>: self-test, demo and a short benchmark of each graphics card, in plain words and one file.</summary>
internal sealed class FirstContactCommand
{
    private const string Notes = """
        Takes a few minutes, downloads nothing and sends nothing. For each graphics card: the self-test, the demo's answers on the card
        beside the processor, and a few layers of the 27B model's size. The file is written after each step, so that it says where a
        driver ended the process; the next start then leaves out matrix units. Exit code 0 if all is right, 3 if not.
        """;

    /// <summary>Layers of the 27B model that are measured: 2.3 GB of weights in fp16.</summary>
    private const int Layers = 2;

    /// <summary>How far a score may be from the processor's, which computes in fp32: fp16 operands change the third digit after the point.
    /// </summary>
    private const double Near = 0.05;

    private readonly Screen _screen;
    private readonly FirstContactFile _file;
    private readonly StatusLine _status;
    private readonly CancellationToken _cancellationToken;

    private FirstContactCommand(Screen screen, FirstContactFile file, StatusLine status, CancellationToken cancellationToken) =>
        (_screen, _file, _status, _cancellationToken) = (screen, file, status, cancellationToken);

    public static Command Create(Terminal terminal)
    {
        Option<string> device = ModelFlags.Choice("--device", "auto|cpu|vulkan|vulkan:N",
            "What to try. auto: each graphics card, or the processor if there is none.");
        Option<string> output = new("--output")
        {
            Description = "The file to send back.", HelpName = "FILE.json", DefaultValueFactory = _ => FirstContactFile.Name,
        };
        Option<bool> quick = new("--quick") { Description = "The quick self-test, and a small model instead of the 27B's layers." };
        NotedCommand command = new("first-contact", "Try all on this machine's graphics cards, and write one file to send back.", Notes)
        {
            device, output, quick,
        };
        command.SetAction(async (call, cancellationToken) =>
        {
            using Screen screen = new(terminal);
            using FirstContactFile file = new(call.GetValue(output)!);
            using StatusLine status = new(terminal, quiet: false);
            FirstContactCommand contact = new(screen, file, status, cancellationToken);
            return await contact.RunAsync(call.GetValue(device)!, call.GetValue(quick)).ConfigureAwait(false);
        });
        return command;
    }

    private async Task<int> RunAsync(string device, bool quick)
    {
        _screen.Line("[bold]LdlVk's first contact with this machine.[/] It takes a few minutes and sends nothing.");
        KernelChoice kernels = KernelChoice.Auto;
        if (_file.EndedAt is { } ended)
        {
            kernels = KernelChoice.Portable;
            _screen.Line(Screen.Safe(
                $"The last run ended at: {ended}. This one leaves out matrix units; please send {_file.EndedPath} too."));
        }

        bool right = true;
        foreach (DeviceInfo card in Cards(device, kernels))
        {
            try
            {
                right &= await TryAsync(card, kernels, quick).ConfigureAwait(false);
            }
            catch (DeviceException e)
            {
                right = false;
                _file.Add(json => json.WriteString("error", e.Notice.InFlags()));
                _screen.Line(Screen.Safe($"  {e.Notice.InFlags()}"));
            }

            _file.EndDevice();
        }

        _file.Finish();
        _screen.Line();
        _screen.Line($"[bold]{(right ? "All is right." : "Something is wrong.")}[/] Everything is in {Screen.Safe(_file.Path)}.");
        _screen.Line("Please attach that file to an issue of the project (\"A graphics card met LdlVk\").");
        _screen.Line("It names the card, the driver and its limits, and no file, user or serial number.");
        return right ? ExitCode.Success : ExitCode.SomeFailed;
    }

    /// <summary>The device of a name, or each graphics card, or the processor.</summary>
    private IEnumerable<DeviceInfo> Cards(string device, KernelChoice kernels)
    {
        IReadOnlyList<DeviceInfo> devices = ComputeDevices.Candidates(device, kernels);
        if (device != "auto") return [devices[0]];
        DeviceInfo[] cards = [.. devices.Where(card => card.Kind != DeviceKind.Cpu)];
        if (cards.Length > 0) return cards;
        string why = (ComputeDevices.WhyNoVulkan() ?? ComputeDevices.WhyNoCard()) is { } reason ? $": {reason.InFlags()}" : "";
        _screen.Line(Screen.Safe($"No graphics card was found{why}. The processor is tried instead."));
        return devices;
    }

    private async Task<bool> TryAsync(DeviceInfo card, KernelChoice kernels, bool quick)
    {
        _screen.Line();
        _file.BeginDevice(card, "self-test");
        bool slow = card.IsProcessor;
        TestedDevice tested = SelfTestCommand.Test(card, kernels, quick || slow, _status, _cancellationToken);
        _file.Add(json =>
        {
            json.WriteStartObject("selftest");
            SelfTestReport.Write(tested, RunSettings.Version(), json);
            json.WriteEndObject();
        });
        SelfTestReport.Show(tested, _screen);
        _file.Begin("demo");
        double difference = await DemoDifferenceAsync(card).ConfigureAwait(false);
        bool near = difference <= Near;
        _file.Add(json => json.WriteNumber("demo_difference", difference));
        string how = near ? "as on the processor" : "OTHERWISE than on the processor";
        _screen.Line(string.Create(CultureInfo.InvariantCulture,
            $"Demo: its answers score {how} (largest difference {difference:G2})."));
        foreach (WeightFormat format in slow || quick ? [WeightFormat.Fp16] : (WeightFormat[])[WeightFormat.Fp16, WeightFormat.Int8])
        {
            _file.Begin($"bench, {Readable.Name(format)} weights");
            Bench(card, format, slow || quick);
        }

        return tested.IsRight && near;
    }

    /// <summary>The largest difference of a demo's score from that on the processor.</summary>
    private async Task<double> DemoDifferenceAsync(DeviceInfo card)
    {
        _status.Show(() => $"{card.Id}: demo");
        using DemoModel files = new();
        float[] here = await ScoresAsync(card.Id, card.KernelChoice).ConfigureAwait(false);
        float[] processor = await ScoresAsync("cpu", KernelChoice.Auto).ConfigureAwait(false);
        double largest = here.Zip(processor).Max(pair => Math.Abs((double)pair.First - pair.Second));
        return double.IsFinite(largest) ? largest : double.MaxValue;

        async Task<float[]> ScoresAsync(string device, KernelChoice kernels)
        {
            RewardModelOptions options = new() { Device = device, Kernels = kernels };
            using RewardModel model = await RewardModel.LoadAsync(files.Folder, options, cancellationToken: _cancellationToken)
                .ConfigureAwait(false);
            return [.. DemoPrompt.All.SelectMany(p => p.Answers.Select(a => model.Score(new Conversation(p.Prompt, a.Response)).Score))];
        }
    }

    /// <summary>Some layers of the 27B, or where they do not fit a small model.</summary>
    private void Bench(DeviceInfo card, WeightFormat format, bool small)
    {
        BenchShape whole = BenchShape.Parse(SelfTestReport.Shape), shape = small ? BenchShape.Parse("peer8") : whole.WithLayers(Layers);
        BenchRequest request = Request(shape);
        ExecutionPlan plan = request.MakePlan();
        if (plan.Streams) plan = (request = Request(shape = BenchShape.Parse("peer8"))).MakePlan();
        _status.Show(() => $"{card.Id}: {shape.Name}, {Readable.Name(format)} weights");
        using BenchSession session = BenchSession.Open(request, plan, null, _cancellationToken);
        foreach (Scenario scenario in request.Scenarios)
        {
            Measurement taken = session.Measure(scenario, small ? 2 : 5, _cancellationToken);
            _file.Add(json =>
            {
                json.WriteStartObject();
                BenchJson.Write(json, session.Context, taken, session.Memory);
                json.WriteEndObject();
            }, "bench");
            bool part = shape.Config.Layers < whole.Config.Layers && shape.Config.HiddenSize == whole.Config.HiddenSize;
            string all = !part ? "" : string.Create(CultureInfo.InvariantCulture,
                $"; all {whole.Config.Layers} would do about {taken.TokensPerSecond * Layers / whole.Config.Layers:G3}");
            _screen.Line(Screen.Safe(string.Create(CultureInfo.InvariantCulture,
                $"Bench: {Readable.Plural(shape.Config.Layers, "layer")} of {shape.Name}, {Readable.Name(format)} weights, "
                + $"{scenario.Label}: {taken.TokensPerSecond:G4} tokens/s{all}.")));
        }

        BenchRequest Request(BenchShape of) =>
            new(card, of, format, [Scenario.OneText(small ? 128 : 512, of.Config.VocabularySize)]);
    }
}
