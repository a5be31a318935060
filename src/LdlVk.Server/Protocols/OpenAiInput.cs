using System.Text.Json;

namespace LdlVk.Server.Protocols;

/// <summary>Reads the field <c>input</c> of OpenAI, vLLM and SGLang: a text, several texts, token ids, or lists of token ids.</summary>
internal static class OpenAiInput
{
    /// <summary>
    /// Reads texts that already contain the chat template, as vLLM's fields say: <c>add_special_tokens</c>, and those of
    /// <see cref="Vllm.TruncationOf"/>.
    /// </summary>
    /// <param name="body">The request.</param>
    /// <param name="name">The name of the field.</param>
    /// <param name="texts">Receives the texts.</param>
    public static void Read(JsonElement body, string name, TextIntake texts)
    {
        JsonElement value = Fields.Get(body, name);
        bool bos = Fields.Flag(body, "add_special_tokens", otherwise: true);
        Truncation cut = Vllm.TruncationOf(body);
        if (value.ValueKind == JsonValueKind.String) texts.AddTemplated(value.GetString()!, bos, cut);
        else if (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0 && value[0].ValueKind == JsonValueKind.Number)
            texts.Add(Fields.Ids(value, name), cut);
        else ReadList(value);

        void ReadList(JsonElement list)
        {
            JsonElement.ArrayEnumerator items = list.ValueKind == JsonValueKind.Array
                ? list.EnumerateArray()
                : throw Fields.Wrong(list, name, "a string or a list");
            Fields.CheckLength(list, name, texts.MaxTexts);
            int i = 0;
            foreach (JsonElement item in items)
            {
                string at = $"{name}[{i++}]";
                if (item.ValueKind == JsonValueKind.Array) texts.Add(Fields.Ids(item, at), cut);
                else texts.AddTemplated(Fields.String(item, at), bos, cut);
            }
        }
    }

    /// <summary>Whether the request asks for numbers as base64 of their bytes, as OpenAI's clients do by default.</summary>
    public static bool WantsBase64(JsonElement body) => Fields.OptionalString(body, "encoding_format") switch
    {
        null or "float" => false,
        "base64" => true,
        _ => throw Fields.Wrong(body.GetProperty("encoding_format"), "encoding_format", "\"float\" or \"base64\""),
    };
}
