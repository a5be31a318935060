using System.Text.Json;

namespace LdlVk.Server.Protocols;

/// <summary>
/// <c>POST /classify</c>, which vLLM and SGLang both have: with <c>input</c> or <c>messages</c> it is vLLM's, from whose answer verl reads
/// <c>data[-1].probs[-1]</c>; with <c>text</c> or <c>input_ids</c> it is SGLang's.
/// </summary>
internal sealed class Classify : Vllm
{
    public override string Path => "/classify";

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        if (SgLang.Find(body) is { } field) return SgLang.Read(body, field, texts);
        ReadInput(body, texts);
        return ListOf("classify", texts, (json, reward) =>
        {
            json.WriteString("label", "LABEL_0");
            WriteScore(json, "probs", reward);
            json.WriteNumber("num_classes", 1);
        });
    }
}
