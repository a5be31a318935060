using System.CommandLine;
using System.Text.Json;
using LdlVk.Benchmarking;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.SelfTest;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk selftest</c>: checks that a device computes what it should.</summary>
internal static class SelfTestCommand
{
    private const string Notes = """
        Computes every op in every weight format with the kernels that the device would run, and with portable ones, and compares each
        result with its formula in double precision; an error may be as large as that of an fp32 computation, and of fp16 operands where
        matrix units round to them. Compares the bits of rows in different batches, of shared beginnings, of layers that are streamed over
        one queue or two, and of all tilings that tuning chooses among. Unless --quick is given, measures rates, and how near products of
        the 27B model's sizes come to what the arithmetic units reach by themselves. Scoring uses kernels that pass, also where they failed
        an earlier test. Exit code 0 if all is right, 3 if not.
        """;

    /// <summary>Part by which a rate may change from beginning to end before the device counts as busy.</summary>
    private const double Steady = 0.2;

    public static Command Create(Terminal terminal)
    {
        Option<string> device = DeviceFlags.CreateDevice(), kernels = DeviceFlags.CreateKernels();
        Option<bool> quick = new("--quick") { Description = "Leave out corners, all tilings but two, and rates." };
        Option<bool> json = new("--json") { Description = "Write the result as JSON, as --output - does." };
        Option<bool> quiet = ModelFlags.CreateQuiet();
        Option<string?> output = new("--output")
        {
            Description = "Write everything about the device and its results to a file, to attach to a report; - is standard output.",
            HelpName = "FILE.json",
        };
        NotedCommand command = new("selftest", "Check that a device computes what it should, and measure how fast.", Notes)
        {
            device, kernels, quick, output, json, quiet,
        };
        command.SetAction((call, cancellationToken) =>
        {
            string? path = call.GetValue(output);
            using OutputFile? file = path is not null and not "-" ? terminal.OpenOutput(path, output.Name) : null;
            KernelChoice choice = ModelValues.Kernels(call, kernels);
            DeviceInfo info = ComputeDevices.Candidates(call.GetValue(device)!, choice)[0];
            TestedDevice tested;
            using (StatusLine status = new(terminal, call.GetValue(quiet)))
                tested = Test(info, choice, call.GetValue(quick), status, cancellationToken);
            if (call.GetValue(json) || path == "-") WriteTo(terminal.Out);
            else
            {
                using Screen screen = new(terminal);
                SelfTestReport.Show(tested, screen);
            }

            if (file is not null) WriteTo(file.Stream);
            file?.Complete();
            return Task.FromResult(tested.IsRight ? ExitCode.Success : ExitCode.SomeFailed);

            void WriteTo(Stream stream)
            {
                using (Utf8JsonWriter writer = new(stream, RewardJson.Indented))
                {
                    writer.WriteStartObject();
                    SelfTestReport.Write(tested, RunSettings.Version(), writer);
                    writer.WriteEndObject();
                }

                stream.Write("\n"u8);
            }
        });
        return command;
    }

    /// <summary>Tests the kernels that a device would run, and then portable ones, unless the user names one kind.</summary>
    public static TestedDevice Test(
        DeviceInfo info, KernelChoice choice, bool quick, StatusLine status, CancellationToken cancellationToken)
    {
        List<TestedKernels> tested = [];
        JsonElement? described = null;
        foreach (DeviceInfo kind in Kinds(info, choice))
        {
            IDevice device = ComputeDevices.Open(kind);
            IReadOnlyList<CheckResult> checks = [];
            try
            {
                described ??= DeviceDescription.Of(device);
                TestedKernels result = Test(device, quick, status, cancellationToken);
                checks = result.Checks;
                tested.Add(result);
                if (result.Faults.Count == 0) ComputeDevices.Trust(kind, quick);
            }
            finally
            {
                DeviceSelfTest.Close(device, checks);
            }
        }

        return new TestedDevice(quick, tested, described);
    }

    private static IEnumerable<DeviceInfo> Kinds(DeviceInfo info, KernelChoice choice)
    {
        yield return info;
        if (choice == KernelChoice.Auto && info.Kernels != DeviceInfo.PortableKernels)
            yield return ComputeDevices.Enumerate(KernelChoice.Portable).Single(other => other.Id == info.Id);
    }

    private static TestedKernels Test(IDevice device, bool quick, StatusLine status, CancellationToken cancellationToken)
    {
        DeviceInfo info = device.Info;
        IReadOnlyList<CheckResult> checks = DeviceSelfTest.Run(
            device, quick, progress: new Direct(result => status.Show(() => $"{info.Id}, {info.Kernels}: {result.Op} {result.Variant}")),
            cancellationToken: cancellationToken);
        TestedKernels tested = new(info, checks);
        return quick || tested.Faults.Count > 0 ? tested : Measure(tested, device, status, cancellationToken);
    }

    /// <summary>Measures rates; the first one again at the end.</summary>
    private static TestedKernels Measure(TestedKernels tested, IDevice device, StatusLine status, CancellationToken cancellationToken)
    {
        DeviceInfo info = device.Info;
        Dictionary<WeightFormat, DeviceSpeed> speeds = [];
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            cancellationToken.ThrowIfCancellationRequested();
            status.Show(() => $"{info.Id}, {info.Kernels}: rates");
            speeds.Add(format, SpeedProbe.Measure(device, format));
        }

        DeviceRates? rates = null;
        IReadOnlyList<KernelStatistics> statistics = [];
        if (device is ISelfTestedDevice known)
        {
            status.Show(() => $"{info.Id}, {info.Kernels}: {SelfTestReport.Shape}");
            using ISelfTestedDevice? asked = known.Reopen(Reopening.Statistics);
            rates = DeviceRates.Measure(asked ?? known, BenchShape.Parse(SelfTestReport.Shape).Config, cancellationToken);
            statistics = asked?.Kernels ?? [];
        }

        double first = speeds[WeightFormat.Fp32].OperationsPerSecond;
        bool busy = Math.Abs((SpeedProbe.Measure(device, WeightFormat.Fp32).OperationsPerSecond / first) - 1) > Steady;
        return tested with { Speeds = speeds, Rates = rates, Statistics = statistics, Busy = busy };
    }

    /// <summary>A progress that is told at once; <see cref="Progress{T}"/> tells another thread.</summary>
    private sealed class Direct(Action<CheckResult> tell) : IProgress<CheckResult>
    {
        public void Report(CheckResult value) => tell(value);
    }
}
