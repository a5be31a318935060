using System.Globalization;
using LdlVk.Benchmarking;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk bench --predict CARD</c>: what a card may be expected to reach, without the card.</summary>
internal static class BenchPrediction
{
    /// <summary>The value of the flag that lists the cards.</summary>
    private const string List = "list";

    /// <summary>The model unless another one is asked for.</summary>
    public const string Shape = "gemma2-27b";

    /// <summary>Prints the list of cards, or the predictions of one.</summary>
    public static void Show(
        string name, string flag, BenchShape shape, WeightFormat[] formats, ComputeMode compute, ScenarioPlan plan, bool json,
        Screen screen, ResultWriter lines)
    {
        if (name == List)
        {
            foreach (Card known in Card.All) screen.Line(Screen.Safe(Describe(known)));
            return;
        }

        Card card = FlagValue.Read(flag, name, Card.Parse);
        Prediction[] predictions = [.. formats.Select(format => new Prediction(card, shape.Config, format, compute))];
        if (predictions[0].WhyNot is { } why) throw new UsageException($"{flag} {name}: {why}. Leave out --compute.");
        if (!json)
        {
            screen.Line($"[bold]Prediction for {Screen.Safe(Describe(card))}[/]");
            if (card.Note.Length > 0) screen.Line(Screen.Safe($"  {card.Note}"));
            screen.Line(Screen.Safe($"  {card.Source}"));
        }

        foreach ((Prediction prediction, WeightFormat format) in predictions.Zip(formats))
            foreach (Scenario scenario in plan.All) Write(prediction, card, shape, format, scenario, json, screen, lines);

        if (!json) screen.Line(Screen.Safe(Prediction.Assumptions));
    }

    private static void Write(
        Prediction prediction, Card card, BenchShape shape, WeightFormat format, Scenario scenario, bool json, Screen screen,
        ResultWriter lines)
    {
        int streamed = prediction.StreamedLayers(scenario.MaxBatchRows);
        double rate = prediction.TokensPerSecond(scenario);
        if (!json)
        {
            string where = streamed == 0 ? "all layers on the card" : $"{streamed} of {shape.Config.Layers} layers streamed";
            string tokens = rate.ToString(rate < 100 ? "F1" : "N0", CultureInfo.InvariantCulture);
            screen.Line(Screen.Safe(
                $"  {shape.Name}, {Readable.Name(format)} weights, {scenario.Label}: {tokens} tokens/s, {where}"));
            return;
        }

        lines.Write(o =>
        {
            o.WriteString("predicted_for", card.Name);
            o.WriteString("shape", shape.Name);
            o.WriteString("weights", Readable.Name(format));
            o.WriteString("scenario", scenario.Name);
            o.WriteNumber("texts", scenario.Texts);
            o.WriteNumber("tokens", scenario.Tokens);
            o.WriteNumber("streamed_layers", streamed);
            o.WriteNumber("predicted_tokens_per_second", rate);
            o.WriteNumber("product_operations_per_second", prediction.ProductRate);
        });
    }

    private static string Describe(Card c) => string.Create(CultureInfo.InvariantCulture,
        $"{c.Name}: {Units(c)}, {c.Bandwidth:G4} GB/s, {c.Memory:G3} GiB, {(c.SharesHostMemory ? "shared with the host" : Bus(c))}");

    private static string Units(Card c) => string.Create(CultureInfo.InvariantCulture,
        $"{(c.Halves > 0 ? $"fp16 {c.Halves:G4} TFLOP/s on matrix units" : $"fp32 {c.Fp32:G4} TFLOP/s")}")
        + (c.HalfSums > c.Halves ? string.Create(CultureInfo.InvariantCulture, $" ({c.HalfSums:G4} with fp16 sums)") : "")
        + (c.Bytes > 0 ? string.Create(CultureInfo.InvariantCulture, $", int8 {c.Bytes:G4} TOP/s") : "");

    private static string Bus(Card c) => string.Create(CultureInfo.InvariantCulture, $"{c.Bus:G3} GB/s from the host");
}
