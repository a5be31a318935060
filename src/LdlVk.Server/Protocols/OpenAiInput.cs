using System.Text.Json;

namespace LdlVk.Server.Protocols;

/// <summary>The field <c>input</c> as OpenAI, vLLM and SGLang have it: a text, texts, token ids, or lists of those.</summary>
internal static class OpenAiInput
{
    /// <summary>Reads the texts, which hold the template already.</summary>
    /// <param name="value">The field.</param>
    /// <param name="name">Its name.</param>
    /// <param name="texts">Takes them.</param>
    /// <param name="bos">Whether a <c>&lt;bos&gt;</c> comes first where a text has none.</param>
    /// <param name="keep">Tokens to keep of each text, its last ones; null for all.</param>
    public static void Read(JsonElement value, string name, TextIntake texts, bool bos = true, int? keep = null)
    {
        if (value.ValueKind == JsonValueKind.String) texts.AddTemplated(value.GetString()!, bos, Cut);
        else if (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0 && value[0].ValueKind == JsonValueKind.Number)
            texts.Add(Cut(Fields.Ids(value, name)));
        else ReadList(value);

        void ReadList(JsonElement list)
        {
            JsonElement.ArrayEnumerator items = list.ValueKind == JsonValueKind.Array
                ? list.EnumerateArray()
                : throw Fields.Wrong(list, name, "a string or a list");
            Fields.CheckLength(list, name, texts.Most);
            int i = 0;
            foreach (JsonElement item in items)
            {
                string at = $"{name}[{i++}]";
                if (item.ValueKind == JsonValueKind.Array) texts.Add(Cut(Fields.Ids(item, at)));
                else texts.AddTemplated(Fields.String(item, at), bos, Cut);
            }
        }

        int[] Cut(int[] ids) => keep is { } most && ids.Length > most ? ids[^most..] : ids;
    }

    /// <summary>Whether numbers are sent as base64 of their bytes, which the clients of OpenAI ask for by themselves.</summary>
    public static bool WantsBase64(JsonElement body) => Fields.OptionalString(body, "encoding_format") switch
    {
        null or "float" => false,
        "base64" => true,
        _ => throw Fields.Wrong(body.GetProperty("encoding_format"), "encoding_format", "\"float\" or \"base64\""),
    };
}
