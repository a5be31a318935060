using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Formatting;
using LdlVk.Runtime.Model;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk inspect</c>: describes a model's folder and the memory it needs on this machine's devices.</summary>
internal static class InspectCommand
{
    public static Command Create(Terminal terminal)
    {
        Argument<string> folder = new("MODEL") { Description = "Folder of the model." };
        Option<bool> json = new("--json") { Description = "Write the result as JSON." };
        ModelFlags flags = new();
        Command command = new(
            "inspect",
            "Show a model's parameters, the memory it needs on this machine's devices, and the placement of its layers. "
            + "No weights are loaded.")
        {
            folder,
        };
        flags.AddPlanTo(command);
        command.Options.Add(json);
        command.SetAction(call =>
        {
            if (call.GetValue(folder) is not { Length: > 0 } path)
                throw new UsageException("MODEL is empty. Give the folder of the model.");
            RewardModelOptions options = flags.Read(call);
            using Checkpoint checkpoint = Checkpoint.Open(path, options.Adapter, options.Head);
            ModelFacts facts = new(checkpoint, options);
            if (call.GetValue(json)) WriteJson(facts, terminal);
            else Show(facts, terminal);
            return ExitCode.Success;
        });
        return command;
    }

    private static void Show(ModelFacts facts, Terminal terminal)
    {
        using Screen screen = new(terminal);
        BackboneConfig c = facts.Checkpoint.Config;
        screen.Line($"[bold]{Screen.Safe(facts.Checkpoint.Folder)}[/]");
        Row("architecture", $"{c.Architecture} with {facts.Checkpoint.Head.Title(c.Architecture)}");
        if (facts.Checkpoint.AdapterFolder is { } adapter) Row("adapter", $"{adapter}, merged into the base model above");
        if (KnownModels.Matching(facts.Checkpoint) is { Count: > 0 } known)
        {
            Row("known model", $"may be {string.Join(" or ", known.Select(model => model.Repository))} by its config and head");
            Row("", known.Any(model => model.Examples.Count > 0)
                ? "ldlvk verify compares scores with the published ones; ldlvk models NAME says what is known"
                : "ldlvk models NAME says what is known");
        }

        Row("parameters", $"{Parameters(facts.BackboneParameters)} in the backbone, {Parameters(facts.HeadParameters)} in the head");
        Row("source type", Name(facts.Checkpoint.SourceType));
        if (facts.Checkpoint.Converted is { } converted)
            Row("converted", $"by ldlvk convert to {Describe(converted.Weights)}; no other --weights");
        Row("layers", $"{c.Layers} of hidden {c.HiddenSize}, FFN {c.IntermediateSize}");
        Row(
            "attention",
            $"{c.Heads} heads, {c.KeyValueHeads} KV heads of {c.HeadDimension}"
            + $"{(c.SlidingLayerCount == 0 ? "" : $"; window {c.SlidingWindow} in {c.SlidingLayerCount} layers")}");
        Row("", string.Create(
            CultureInfo.InvariantCulture,
            $"{(c.AttentionSoftcap == 0 ? "no softcap" : $"softcap {c.AttentionSoftcap}")}, "
            + $"scale 1/√{c.QueryPreAttentionScalar}, RoPE θ {c.RopeTheta}"
            + $"{(c.RopeScaling is { } s ? $", {s}" : "")}"
            + $"{(c.RotaryPart == 1 ? "" : $", in {c.Rope.Rotated(c.HeadDimension)} elements of a head")}"
            + $"{(c.SlidingRope is { } sliding ? $"; θ {sliding.Theta} in layers with a window" : "")}"));
        Row("texts", $"up to {Readable.Count(c.MaxPositions)} tokens, vocabulary {Readable.Count(c.VocabularySize)}");
        Row("head", facts.Checkpoint.Head.Summary);
        Row("reads", facts.Checkpoint.Head.ReadSummary);
        Row("tokenizer", facts.Tokenizer);
        Row("template", facts.Template);
        Row("files", $"{Readable.Plural(facts.Files.Count, "file")}, {Readable.Bytes(facts.Files.Sum(f => f.Bytes))}");
        if (facts.Checkpoint.IgnoredWeights is { } ignored)
            Row("", $"{ignored} is not read: of safetensors and .bin files, transformers and LdlVk read safetensors");
        if (facts.Checkpoint.UnusedTensors is { Count: > 0 } unused)
            Row("", $"{Readable.Plural(unused.Count, "tensor")} that nothing reads, such as {Readable.Quoted(unused[0])}");
        foreach ((string name, long bytes) in facts.Files) screen.Line($"                {Readable.Bytes(bytes),9}  {Screen.Safe(name)}");
        screen.Line();
        screen.Line("[bold]Memory on this machine's devices[/] (weights, and activations of a batch)");
        foreach (DeviceFit fit in facts.Devices)
        {
            screen.Line($"  {fit.Device.Id,-9} {Screen.Safe(fit.Device.Name)}");
            screen.Line(
                $"            {Readable.Bytes(fit.Device.FreeMemoryBytes)} free, batches of {Readable.Plural(fit.BatchTokens, "token")}");
            foreach (FormatFit format in fit.Formats)
            {
                string verdict = format.Fits ? "[green]fits[/]" : "[red]does not fit[/]";
                screen.Line($"            {Readable.Name(format.Format),-5} {Readable.Bytes(format.Bytes),9}  {verdict}");
            }
        }

        screen.Line();
        screen.Line("[bold]Placement of the layers[/]");
        if (facts.Plan is { } plan) PlanReport.Show(plan, screen);
        else screen.Line($"  [red]nowhere[/]: {Screen.Safe(facts.WhyNoPlan!)}");

        void Row(string name, string value) => screen.Line($"  {name,-13} {Screen.Safe(value)}");
    }

    private static void WriteJson(ModelFacts facts, Terminal terminal)
    {
        using JsonDocumentWriter document = new(terminal);
        Utf8JsonWriter json = document.Json;
        BackboneConfig c = facts.Checkpoint.Config;
        json.WriteString("folder", facts.Checkpoint.Folder);
        json.WriteString("adapter", facts.Checkpoint.AdapterFolder);
        json.WriteString("architecture", $"{c.Architecture.ModelType}-{facts.Checkpoint.Head.Name}");
        json.WriteStartArray("known_models");
        foreach (KnownModel known in KnownModels.Matching(facts.Checkpoint)) json.WriteStringValue(known.Repository);
        json.WriteEndArray();
        json.WriteNumber("backbone_parameters", facts.BackboneParameters);
        json.WriteNumber("head_parameters", facts.HeadParameters);
        json.WriteString("source_type", Name(facts.Checkpoint.SourceType));
        json.WriteString("converted_to", facts.Checkpoint.Converted is { } converted ? Readable.Name(converted.Weights) : null);
        json.WriteNumber("hidden_size", c.HiddenSize);
        json.WriteNumber("layers", c.Layers);
        json.WriteNumber("heads", c.Heads);
        json.WriteNumber("kv_heads", c.KeyValueHeads);
        json.WriteNumber("head_dim", c.HeadDimension);
        json.WriteNumber("intermediate_size", c.IntermediateSize);
        json.WriteNumber("vocabulary_size", c.VocabularySize);
        json.WriteNumber("max_tokens", c.MaxPositions);
        json.WriteNumber("sliding_window", c.SlidingWindow);
        json.WriteString("reads", facts.Checkpoint.Head.ReadSummary);
        facts.Checkpoint.Head.WriteFacts(json);
        json.WriteString("tokenizer", facts.Tokenizer);
        json.WriteString("chat_template", facts.Template);
        json.WriteStartObject("files");
        foreach ((string name, long bytes) in facts.Files.DistinctBy(file => file.Name)) json.WriteNumber(name, bytes);
        json.WriteEndObject();
        json.WriteString("ignored_weights", facts.Checkpoint.IgnoredWeights);
        json.WriteStartArray("devices");
        foreach (DeviceFit fit in facts.Devices) WriteFit(json, fit);
        json.WriteEndArray();
        if (facts.Plan is { } plan)
        {
            json.WriteStartObject("plan");
            PlanReport.Write(plan, json);
            json.WriteEndObject();
        }
        else
        {
            json.WriteString("why_no_plan", facts.WhyNoPlan);
        }
    }

    private static void WriteFit(Utf8JsonWriter json, DeviceFit fit)
    {
        json.WriteStartObject();
        json.WriteString("id", fit.Device.Id);
        json.WriteString("name", fit.Device.Name);
        json.WriteNumber("free_memory_bytes", fit.Device.FreeMemoryBytes);
        json.WriteNumber("batch_tokens", fit.BatchTokens);
        json.WriteStartObject("weights");
        foreach (FormatFit format in fit.Formats)
        {
            json.WriteStartObject(Readable.Name(format.Format));
            json.WriteNumber("bytes", format.Bytes);
            json.WriteBoolean("fits", format.Fits);
            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static string Describe(WeightFormat weights) => WeightLayout.HasScales(weights)
        ? $"{Readable.Name(weights)} weights in groups of {WeightLayout.GroupSize} with fp16 scales" : $"{Readable.Name(weights)} weights";

    private static string Parameters(long count) => count >= 1_000_000_000
        ? string.Create(CultureInfo.InvariantCulture, $"{count / 1e9:F2} B")
        : string.Create(CultureInfo.InvariantCulture, $"{count / 1e6:F2} M");

    private static string Name(ElementType type) => type.ToString().ToLowerInvariant();
}
