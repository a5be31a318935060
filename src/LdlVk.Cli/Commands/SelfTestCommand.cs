using System.CommandLine;
using System.Text.Json;
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
        matrix units round to them. Compares the bits of rows in different batches, of shared beginnings, and of all tilings that tuning
        chooses among. Measures rates unless --quick is given. Exit code 0 if all is right, 3 if not.
        """;

    /// <summary>Part by which a rate may change from beginning to end before the device counts as busy.</summary>
    private const double Steady = 0.2;

    public static Command Create(Terminal terminal)
    {
        Option<string> device = DeviceFlags.CreateDevice(), kernels = DeviceFlags.CreateKernels();
        Option<bool> quick = new("--quick") { Description = "Leave out corners, all tilings but two, and rates." };
        Option<bool> json = new("--json") { Description = "Write the result as JSON." };
        Option<bool> quiet = ModelFlags.CreateQuiet();
        Option<string?> output = new("--output")
        {
            Description = "Write everything about the device and its results to a file, to attach to a report.",
            HelpName = "FILE.json",
        };
        NotedCommand command = new("selftest", "Check that a device computes what it should, and measure how fast.", Notes)
        {
            device, kernels, quick, output, json, quiet,
        };
        command.SetAction((call, cancellationToken) =>
        {
            EvalCommand.NotStandardOutput(call.GetValue(output), output.Name);
            using OutputFile? file = call.GetValue(output) is { } path ? terminal.OpenOutput(path, output.Name) : null;
            KernelChoice choice = ModelValues.Kernels(call, kernels);
            DeviceInfo info = ComputeDevices.Candidates(call.GetValue(device)!, choice)[0];
            using StatusLine status = new(terminal, call.GetValue(quiet));
            TestedKernels[] tested = [.. Kinds(info, choice).Select(kind => Test(kind, call.GetValue(quick), status, cancellationToken))];
            status.Dispose();
            if (call.GetValue(json)) WriteTo(terminal.Out);
            else
            {
                using Screen screen = new(terminal);
                SelfTestReport.Show(tested, screen);
            }

            if (file is not null) WriteTo(file.Stream);
            file?.Complete();
            return Task.FromResult(tested.All(kind => kind.Faults.Count == 0) ? ExitCode.Success : ExitCode.SomeFailed);

            void WriteTo(Stream stream)
            {
                using (Utf8JsonWriter writer = new(stream, RewardJson.Indented))
                {
                    writer.WriteStartObject();
                    SelfTestReport.Write(tested, call.GetValue(quick), RunSettings.Version(), writer);
                    writer.WriteEndObject();
                }

                stream.Write("\n"u8);
            }
        });
        return command;
    }

    /// <summary>The device with the kernels that it would run, and then with portable ones, unless the user names one kind.</summary>
    private static IEnumerable<DeviceInfo> Kinds(DeviceInfo info, KernelChoice choice)
    {
        yield return info;
        if (choice == KernelChoice.Auto && info.Kernels != DeviceInfo.PortableKernels)
            yield return ComputeDevices.Enumerate(KernelChoice.Portable).Single(other => other.Id == info.Id);
    }

    private static TestedKernels Test(DeviceInfo info, bool quick, StatusLine status, CancellationToken cancellationToken)
    {
        using IDevice device = ComputeDevices.Open(info);
        Dictionary<WeightFormat, DeviceSpeed> speeds = [];
        IReadOnlyList<CheckResult> checks = DeviceSelfTest.Run(
            device, quick, progress: new Direct(result => status.Show(() => $"{info.Id}, {info.Kernels}: {result.Op} {result.Variant}")),
            cancellationToken: cancellationToken);
        bool busy = false;
        if (!quick && checks.All(check => check.Fault is null))
        {
            foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
            {
                cancellationToken.ThrowIfCancellationRequested();
                status.Show(() => $"{info.Id}, {info.Kernels}: rates");
                speeds.Add(format, SpeedProbe.Measure(device, format));
            }

            double first = speeds[WeightFormat.Fp32].OperationsPerSecond;
            busy = Math.Abs((SpeedProbe.Measure(device, WeightFormat.Fp32).OperationsPerSecond / first) - 1) > Steady;
        }

        return new TestedKernels(info, checks, speeds, busy);
    }

    /// <summary>A progress that is told at once; <see cref="Progress{T}"/> tells another thread.</summary>
    private sealed class Direct(Action<CheckResult> tell) : IProgress<CheckResult>
    {
        public void Report(CheckResult value) => tell(value);
    }
}
