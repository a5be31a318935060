using System.Reflection;
using System.Text.Json;
using LdlVk.Runtime;

namespace LdlVk.Server.Http;

/// <summary>What the server says of its model: vLLM's <c>/v1/models</c>, with the attributes' names, and <c>/info</c> of text-embeddings-inference.</summary>
internal sealed class Facts(RewardModel model, ServerOptions options)
{
    private readonly long _created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    public void WriteModels(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        json.WriteStartObject();
        json.WriteString("id", options.ModelName);
        json.WriteString("object", "model");
        json.WriteNumber("created", _created);
        json.WriteString("owned_by", "ldlvk");
        json.WriteString("root", options.ModelName);
        json.WriteNull("parent");
        json.WriteNumber("max_model_len", model.MaxTokens);
        json.WriteStartArray("attributes");
        foreach (string name in model.AttributeNames) json.WriteStringValue(name);
        json.WriteEndArray();
        json.WriteString("device", string.Join(", ", model.Devices.Select(d => d.Name)));
        json.WriteString("weights", Readable.Name(model.Weights));
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
    }

    public void WriteInfo(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("model_id", options.ModelName);
        json.WriteNull("model_sha");
        json.WriteString("model_dtype", Readable.Name(model.Weights));
        json.WriteStartObject("model_type");
        json.WriteStartObject("reranker");
        json.WriteStartObject("id2label");
        json.WriteString("0", "LABEL_0");
        json.WriteEndObject();
        json.WriteStartObject("label2id");
        json.WriteNumber("LABEL_0", 0);
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteNumber("max_concurrent_requests", options.MaxQueue);
        json.WriteNumber("max_input_length", model.MaxTokens);
        json.WriteNumber("max_batch_tokens", model.Plan.BatchTokens);
        json.WriteNull("max_batch_requests");
        json.WriteNumber("max_client_batch_size", options.MaxTexts);
        json.WriteBoolean("auto_truncate", model.Truncates);
        json.WriteNumber("tokenization_workers", Environment.ProcessorCount);
        json.WriteString("version", typeof(Facts).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion);
        json.WriteNull("sha");
        json.WriteNull("docker_label");
        json.WriteEndObject();
    }
}
