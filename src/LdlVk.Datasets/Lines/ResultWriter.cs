using System.Buffers;
using System.Text.Json;
using LdlVk.Datasets.Items;

namespace LdlVk.Datasets.Lines;

/// <summary>Writes results as JSON lines.</summary>
/// <param name="output">Receives one line per write.</param>
public sealed class ResultWriter(Stream output)
{
    private readonly ArrayBufferWriter<byte> _buffer = new();

    /// <summary>Writes one object on one line, in one call to the stream.</summary>
    /// <param name="members">Writes the object's members.</param>
    public void Write(Action<Utf8JsonWriter> members)
    {
        ArgumentNullException.ThrowIfNull(members);
        _buffer.ResetWrittenCount();
        using (Utf8JsonWriter json = new(_buffer, RewardJson.Compact))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }

        _buffer.Write("\n"u8);
        output.Write(_buffer.WrittenSpan);
    }

    /// <summary>Writes <c>{"id","error"}</c>.</summary>
    /// <param name="id">The id as JSON.</param>
    /// <param name="error">Why the line could not be scored.</param>
    public void WriteError(string id, string error) => Write(json =>
    {
        RewardJson.WriteId(json, id);
        json.WriteString("error", error);
    });

    /// <summary>
    /// Writes <c>{"id","score","tokens"}</c>, with <c>"scores"</c> and <c>"best"</c> if the line has responses, or <c>{"id","error"}</c>.
    /// </summary>
    /// <param name="scored">The line.</param>
    /// <param name="details">Whether weights, distribution and rewards are written too.</param>
    public void Write(ScoredLine scored, bool details)
    {
        ArgumentNullException.ThrowIfNull(scored);
        if (scored.Error is { } error)
        {
            WriteError(scored.Line.Id, error);
            return;
        }

        Write(json =>
        {
            RewardJson.WriteId(json, scored.Line.Id);
            if (scored.Line.Item.HasResponses) RewardJson.Write(json, scored.Rewards, details);
            else RewardJson.Write(json, scored.Rewards[0], details);
        });
    }
}
