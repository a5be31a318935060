using System.Text.Json;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols.Bodies;

namespace LdlVk.Server.Protocols;

/// <summary>
/// <c>POST /classify</c> of vLLM and of SGLang. A request with <c>input</c> or <c>messages</c> is in vLLM's format, and verl reads
/// <c>data[-1].probs[-1]</c> of its answer. A request with <c>text</c> or <c>input_ids</c> is in SGLang's format.
/// </summary>
internal sealed class Classify : Vllm
{
    public override string Path => "/classify";

    public override Operation Operation { get; } = new(
        "classify", "vLLM", "Score texts as vLLM does, with input or messages, or as SGLang does, with text or input_ids")
    {
        Request = typeof(ClassifyRequest), Answer = typeof(ClassifyAnswer), Error = typeof(VllmError), ErrorType = "application/json",
        Example = $$"""
            {"model":"any","input":"{{Conversation}}"}
            """,
    };

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        RefuseOtherTasks(body);
        CheckOneOf(body, "input", "messages", "text", "input_ids");
        if (SgLang.Find(body) is { } field) return SgLang.Read(body, field, texts);
        ReadInput(body, texts);
        return ListOf(
            "classify", texts, BodyJson.Own.VllmListClassifyEntry, (i, reward) => new ClassifyEntry { Index = i, Probs = [reward.Score] });
    }
}
