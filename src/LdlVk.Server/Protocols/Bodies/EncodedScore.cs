using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using LdlVk.Server.OpenApi;

namespace LdlVk.Server.Protocols.Bodies;

/// <summary>
/// The raw score as a list of one number, or a list for each step or token; or as base64 of their 4 little-endian bytes, which OpenAI's
/// clients request by default.
/// </summary>
/// <param name="Score">The score.</param>
/// <param name="IsBase64">Whether the score is sent as base64 of its little-endian bytes.</param>
[OneOf(typeof(float[]), typeof(float[][]), typeof(string))]
[JsonConverter(typeof(Converter))]
internal readonly record struct EncodedScore(float Score, bool IsBase64)
{
    /// <summary>The scores of steps or of tokens, which are given instead; empty for the score of a whole text.</summary>
    public ImmutableArray<float> Steps { get; init; } = [];

    /// <summary>Whether a step has the probabilities of a bad and a good step; else that of a good one alone.</summary>
    public bool HasBothClasses { get; init; }

    /// <summary>Whether each token has a score, the values of <see cref="Steps"/>.</summary>
    public bool IsOfTokens { get; init; }

    private bool IsList => Steps.Length > 0 || IsOfTokens;

    internal sealed class Converter : JsonConverter<EncodedScore>
    {
        public override EncodedScore Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            throw new NotSupportedException();

        public override void Write(Utf8JsonWriter writer, EncodedScore value, JsonSerializerOptions options)
        {
            float[][] rows = value.Steps.Length == 0 ? [[value.Score]]
                : [.. value.Steps.Select(step => value.HasBothClasses ? (float[])[1 - step, step] : [step])];
            if (value.IsBase64)
            {
                byte[] bytes = new byte[rows.Sum(row => row.Length) * sizeof(float)];
                int at = 0;
                foreach (float number in rows.SelectMany(row => row))
                {
                    BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(at), number);
                    at += sizeof(float);
                }

                writer.WriteBase64StringValue(bytes);
                return;
            }

            if (value.IsList) writer.WriteStartArray();
            foreach (float[] row in rows)
            {
                writer.WriteStartArray();
                foreach (float number in row) writer.WriteNumberValue(number);
                writer.WriteEndArray();
            }

            if (value.IsList) writer.WriteEndArray();
        }
    }
}
