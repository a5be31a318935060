using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using LdlVk.Cli.Input;
using LdlVk.Runtime.Model;

namespace LdlVk.Datasets.Lines;

/// <summary>Writes results as JSON lines. Numbers are the shortest that read back to the same bits.</summary>
internal sealed class ResultLine(Stream output)
{
    /// <summary>Letters stay letters; what JSON must escape is escaped.</summary>
    public static readonly JsonWriterOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>As <see cref="Compact"/>, for people.</summary>
    public static readonly JsonWriterOptions Indented = Compact with { Indented = true };

    private readonly ArrayBufferWriter<byte> _buffer = new();

    /// <summary>Writes one object on one line, in one call to the stream.</summary>
    public void Write(Action<Utf8JsonWriter> members)
    {
        _buffer.ResetWrittenCount();
        using (Utf8JsonWriter json = new(_buffer, Compact))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }

        _buffer.Write("\n"u8);
        output.Write(_buffer.WrittenSpan);
    }

    /// <summary><c>{"id","error"}</c>.</summary>
    public void WriteError(string id, string error) => Write(json =>
    {
        WriteId(json, id);
        json.WriteString("error", error);
    });

    /// <summary><c>{"id","score","tokens"}</c>, or with <c>"scores"</c> and <c>"best"</c> where the line has responses.</summary>
    public void Write(ScoredLine scored, bool details)
    {
        if (scored.Error is { } error)
        {
            WriteError(scored.Line.Id, error);
            return;
        }

        bool many = scored.Line.HasResponses;
        Write(json =>
        {
            WriteId(json, scored.Line.Id);
            Each(json, many ? "scores" : "score", many, scored, r => json.WriteNumberValue(r.Score));
            if (many) json.WriteNumber("best", scored.Best);
            Each(json, "tokens", many, scored, r => json.WriteNumberValue(r.Tokens));
            if (details) WriteDetails(json, scored, many);
        });
    }

    /// <summary>The id as it was given.</summary>
    public static void WriteId(Utf8JsonWriter json, string id)
    {
        json.WritePropertyName("id");
        json.WriteRawValue(id, skipInputValidation: true);
    }

    /// <summary>A list of numbers.</summary>
    public static void WriteNumbers(Utf8JsonWriter json, ReadOnlySpan<float> numbers)
    {
        json.WriteStartArray();
        foreach (float number in numbers) json.WriteNumberValue(number);
        json.WriteEndArray();
    }

    /// <summary>Weights, distribution and rewards; nothing for a model that gives the score alone.</summary>
    private static void WriteDetails(Utf8JsonWriter json, ScoredLine scored, bool many)
    {
        if (!scored.Rewards.Any(r => r.HasDistribution)) return;
        Each(json, "weights", many, scored, r => WriteNumbers(json, r.Weights));
        Each(json, "distribution", many, scored, r => WriteNumbers(json, r.Distribution));
        Each(json, "rewards", many, scored, r =>
        {
            json.WriteStartArray();
            for (int a = 0; a < r.Attributes; a++) WriteNumbers(json, r.AttributeDistribution(a));
            json.WriteEndArray();
        });
    }

    /// <summary>One value, or a list with one for each response.</summary>
    private static void Each(Utf8JsonWriter json, string name, bool many, ScoredLine scored, Action<Reward> value)
    {
        json.WritePropertyName(name);
        if (many) json.WriteStartArray();
        foreach (Reward reward in scored.Rewards) value(reward);
        if (many) json.WriteEndArray();
    }
}
