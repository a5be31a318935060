using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using LdlVk.Benchmarking;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Runtime.Conversion;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk convert</c>: writes a copy of a model's folder with smaller weights.</summary>
internal static class ConvertCommand
{
    private const string Notes = """
        The new folder is smaller, loads without conversion,
        and gives bitwise the same scores as the original with the same --weights. Other
        programs can open its safetensors files, whose metadata describe the storage of the weights. SRC is not changed.
        The folder of an interrupted conversion cannot be loaded. Run the same command again: it checks the complete files and writes the
        rest. On a finished folder, the same command verifies the checksums of all files.
        """;

    public static Command Create(Terminal terminal)
    {
        Argument<string> source = new("SRC") { Description = "Folder of the original model." };
        Argument<string> destination = new("DST")
        {
            Description = "Folder to write: new, empty, or an unfinished conversion by this command.",
        };
        Option<string> weights = new("--weights")
        {
            Description = "Format of the layers' weights.",
            HelpName = "fp16|int8|int4",
            Required = true,
        };
        Option<string?> adapter = ModelFlags.CreateAdapter(), head = HeadFlags.CreateHead();
        Option<bool> measure = new("--measure-disk")
        {
            Description = "Afterwards measure a plain write of as many bytes, for comparison. Temporarily needs twice the disk space.",
        };
        Option<bool> json = new("--json") { Description = "Write the result as JSON." };
        Option<bool> quiet = ModelFlags.CreateQuiet();
        NotedCommand command = new("convert", "Write a copy of a model's folder with fp16, int8 or int4 weights.", Notes)
        {
            source, destination, adapter, head, weights, measure, json, quiet,
        };
        command.SetAction((call, cancellationToken) =>
        {
            string from = Given(call.GetValue(source), "SRC"), to = Given(call.GetValue(destination), "DST");
            WeightFormat format = Formats.ReadConvertible(call.GetValue(weights)!);
            ConversionResult result = Run(
                from, to, format, ModelValues.Adapter(call, adapter), call.GetValue(head), terminal, call.GetValue(quiet),
                cancellationToken);
            double? disk = call.GetValue(measure) && result.BytesWritten > 0
                ? DiskYardstick.Measure(result.Folder, result.BytesWritten, cancellationToken)
                : null;
            if (call.GetValue(json)) WriteJson(result, format, disk, terminal);
            else Show(result, format, disk, terminal);
            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    private static ConversionResult Run(
        string from, string to, WeightFormat format, string? adapter, string? head, Terminal terminal, bool quiet,
        CancellationToken cancellationToken)
    {
        using StatusLine status = new(terminal, quiet);
        try
        {
            return Converter.Run(from, to, format, new Progress(status), adapter, cancellationToken, head);
        }
        catch (OperationCanceledException) when (!quiet)
        {
            status.Dispose();
            terminal.Say("run the same command again to continue.");
            throw;
        }
    }

    private static void Show(ConversionResult result, WeightFormat format, double? disk, Terminal terminal)
    {
        using Screen screen = new(terminal);
        screen.Line($"{Screen.Safe(result.Folder)}: {Readable.Name(format)} weights, {Readable.Bytes(result.Bytes)}");
        if (result.BytesWritten == 0)
        {
            screen.Line("It was already complete, and all checksums match.");
            return;
        }

        double rate = result.BytesWritten / result.Writing.TotalSeconds;
        string kept = result.BytesWritten == result.Bytes
            ? ""
            : $"; {Readable.Bytes(result.Bytes - result.BytesWritten)} were already there";
        screen.Line(string.Create(
            CultureInfo.InvariantCulture,
            $"{Readable.Bytes(result.BytesWritten)} written in {result.Writing.TotalSeconds:F1} s, {rate / 1e9:F2} GB/s{kept}"));
        if (disk is { } plain)
            screen.Line(string.Create(
                CultureInfo.InvariantCulture,
                $"A plain write of as many bytes: {plain / 1e9:F2} GB/s; convert reached {rate / plain:P0} of that."));
    }

    private static void WriteJson(ConversionResult result, WeightFormat format, double? disk, Terminal terminal)
    {
        using JsonDocumentWriter document = new(terminal);
        Utf8JsonWriter json = document.Json;
        json.WriteString("folder", result.Folder);
        json.WriteString("weights", Readable.Name(format));
        json.WriteNumber("bytes", result.Bytes);
        json.WriteNumber("bytes_written", result.BytesWritten);
        json.WriteNumber("seconds", result.Writing.TotalSeconds);
        json.WriteNumber("bytes_per_second", result.BytesWritten / result.Writing.TotalSeconds);
        if (disk is { } plain) json.WriteNumber("disk_bytes_per_second", plain);
    }

    private static string Given(string? path, string name) =>
        path is { Length: > 0 } ? path : throw new UsageException($"{name} is empty. Give a folder.");

    /// <summary>Shows the progress; reports come from the writing thread.</summary>
    private sealed class Progress(StatusLine status) : IProgress<ConversionProgress>
    {
        public void Report(ConversionProgress value) => status.Show(() =>
            $"{(value.Stage == ConversionStage.Checking ? "checking" : "writing")} {Readable.Bytes(value.BytesDone)} of "
            + $"{Readable.Bytes(value.BytesTotal)}, {value.File}");
    }
}
