using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Serialization;
using LdlVk.Server.OpenApi;

namespace LdlVk.Server.Protocols.Bodies;

/// <summary>
/// The raw score as a list of one number, or as base64 of its 4 little-endian bytes, which OpenAI's clients request by default.
/// </summary>
/// <param name="Score">The score.</param>
/// <param name="IsBase64">Whether the score is sent as base64 of its little-endian bytes.</param>
[OneOf(typeof(float[]), typeof(string))]
[JsonConverter(typeof(Converter))]
internal readonly record struct EncodedScore(float Score, bool IsBase64)
{
    internal sealed class Converter : JsonConverter<EncodedScore>
    {
        public override EncodedScore Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            throw new NotSupportedException();

        public override void Write(Utf8JsonWriter writer, EncodedScore value, JsonSerializerOptions options)
        {
            if (value.IsBase64)
            {
                Span<byte> bytes = stackalloc byte[sizeof(float)];
                BinaryPrimitives.WriteSingleLittleEndian(bytes, value.Score);
                writer.WriteBase64StringValue(bytes);
                return;
            }

            writer.WriteStartArray();
            writer.WriteNumberValue(value.Score);
            writer.WriteEndArray();
        }
    }
}
