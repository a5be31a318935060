using LdlVk.Cli.Options;
using System.Globalization;
using System.Text.Json;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Output;

/// <summary>Prints a plan as a table or as JSON: the layers of each device, and their memory and time.</summary>
internal static class PlanReport
{
    /// <summary>Writes the plan as a table.</summary>
    public static void Show(ExecutionPlan plan, Screen screen)
    {
        screen.Line(
            $"  {"device",-10} {"layers",-9} {"stay",5} {"streamed",8}  "
            + $"{"weights",9} {"slots",9} {"activations",11} {"cache",9} {"in all",9} {"of",9}   time of a wave");
        foreach (StagePlan stage in plan.Stages)
        {
            StageLayers layers = stage.Layers;
            string range = $"{layers.First}–{layers.End - 1}";
            screen.Line(
                Number($"  {Screen.Safe(stage.Device.Id),-10} {range,-9} {layers.Count - layers.Streamed,5} {layers.Streamed,8}  ")
                + $"{Readable.Bytes(stage.WeightBytes),9} {Readable.Bytes(stage.SlotBytes),9} "
                + $"{Readable.Bytes(stage.ActivationBytes),11} {Readable.Bytes(stage.CacheBytes),9} {Readable.Bytes(stage.Bytes),9} "
                + $"{Readable.Bytes(stage.Budget),9}   "
                + $"{Time(stage)}");
        }

        foreach (StagePlan stage in plan.Stages.Where(s => s.Layers.Streamed > 0))
        {
            string from = stage.Layers.InHostMemory ? "host memory" : "the model's files";
            screen.Line(
                $"  {stage.Device.Id}: {Readable.Bytes(stage.StreamedBytes)} of weights from {from} for each wave, "
                + $"{Readable.Plural(stage.Layers.Slots, "layer")} at a time on the device");
        }

        string speed = plan.TokensPerSecond is { } rate ? Number($"; about {Digits(rate)} tokens/s expected") : "";
        string cache = plan.CacheTokens == 0 ? "" : $", a prompt cache of {Readable.Count(plan.CacheTokens)}"
            + (plan.HostCacheTokens == 0 ? ""
                : $" and {Readable.Count(plan.HostCacheTokens)} more in up to {Readable.Bytes(plan.HostCacheBytes)} of host memory");
        screen.Line(
            $"  {Readable.Name(plan.Weights)} weights, micro-batches of {Readable.Count(plan.BatchTokens)} tokens, "
            + $"waves of {Readable.Count(plan.WaveTokens)}{cache}{speed}");
        foreach (Notice note in plan.Notes) screen.Line($"  {Screen.Safe(note.InFlags())}");
    }

    /// <summary>Writes the plan as an object's members.</summary>
    public static void Write(ExecutionPlan plan, Utf8JsonWriter json)
    {
        json.WriteString("weights", Readable.Name(plan.Weights));
        json.WriteNumber("batch_tokens", plan.BatchTokens);
        json.WriteNumber("wave_tokens", plan.WaveTokens);
        json.WriteNumber("cache_tokens", plan.CacheTokens);
        json.WriteNumber("host_cache_tokens", plan.HostCacheTokens);
        json.WriteNumber("host_cache_bytes", plan.HostCacheBytes);
        if (plan.TokensPerSecond is { } rate) json.WriteNumber("expected_tokens_per_second", rate);
        json.WriteStartArray("stages");
        foreach (StagePlan stage in plan.Stages)
        {
            json.WriteStartObject();
            json.WriteString("device", stage.Device.Id);
            json.WriteNumber("first_layer", stage.Layers.First);
            json.WriteNumber("layers", stage.Layers.Count);
            json.WriteNumber("streamed_layers", stage.Layers.Streamed);
            json.WriteNumber("slots", stage.Layers.Slots);
            json.WriteBoolean("in_host_memory", stage.Layers.InHostMemory);
            json.WriteNumber("budget_bytes", stage.Budget);
            json.WriteNumber("weight_bytes", stage.WeightBytes);
            json.WriteNumber("slot_bytes", stage.SlotBytes);
            json.WriteNumber("activation_bytes", stage.ActivationBytes);
            json.WriteNumber("cache_bytes", stage.CacheBytes);
            json.WriteNumber("streamed_bytes", stage.StreamedBytes);
            if (stage.Seconds is { } seconds)
            {
                json.WriteNumber("computing_seconds", seconds.Computing);
                json.WriteNumber("uploading_seconds", seconds.Uploading);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("notes");
        foreach (Notice note in plan.Notes) json.WriteStringValue(note.InFlags());
        json.WriteEndArray();
    }

    private static string Time(StagePlan stage)
    {
        if (stage.Seconds is not { } s) return "not measured";
        string computing = $"{Digits(s.Computing)} s";
        return stage.Layers.Streamed == 0 ? computing : $"{computing}, uploads {Digits(s.Uploading)} s";
    }

    private static string Digits(double value) => value.ToString(value >= 100 ? "F0" : "G2", CultureInfo.InvariantCulture);

    private static string Number(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
