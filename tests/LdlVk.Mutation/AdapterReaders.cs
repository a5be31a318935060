using System.Text;
using LdlVk.Testing;

namespace LdlVk.Mutation;

/// <summary>Readers of the files of a PEFT adapter, over the base model that they are of.</summary>
internal static class AdapterReaders
{
    private const string Module = "base_model.model.model.layers.0.self_attn.q_proj";

    private static readonly byte[] Sound = Encoding.UTF8.GetBytes(
        """{"peft_type":"LORA","base_model_name_or_path":"../base","r":2,"lora_alpha":4,"use_rslora":true,"target_modules":["q_proj"],"modules_to_save":["score"],"rank_pattern":{},"alpha_pattern":{"layers.0.self_attn.q_proj":3},"layers_to_transform":[0],"layers_pattern":"layers"}""");

    /// <summary>adapter_config.json.</summary>
    public static Reader Config() => new(
        "adapter-config",
        [
            Sound,
            Encoding.UTF8.GetBytes("""{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":".*\\\\.(q_proj|v_proj)","exclude_modules":"(a*)*b"}"""),
            Encoding.UTF8.GetBytes("""{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":"all-linear","rank_pattern":{"(x+x+)+y":3},"init_lora_weights":"gaussian"}"""),
            Encoding.UTF8.GetBytes($"{{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":4,\"target_modules\":\"{new string('(', 5000)}\"}}"),
            Encoding.UTF8.GetBytes($"{{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":4,\"target_modules\":\"{string.Concat(Enumerable.Repeat("(a|b)*", 2000))}\"}}"),
        ],
        (folder, input) =>
        {
            Prepare(folder);
            folder.Write("adapter/adapter_config.json", input);
            CheckpointReaders.ReadModel(folder["base"], folder["adapter"]);
        })
    {
        IsJson = true,
    };

    /// <summary>adapter_model.safetensors.</summary>
    public static Reader Weights() => new(
        "adapter-weights",
        [Tensors()],
        (folder, input) =>
        {
            Prepare(folder);
            folder.Write("adapter/adapter_config.json", Sound);
            folder.Write("adapter/adapter_model.safetensors", input);
            CheckpointReaders.ReadModel(folder["base"], folder["adapter"]);
        });

    private static void Prepare(TempFolder folder)
    {
        if (Directory.Exists(folder["base"])) return;
        SyntheticCheckpoint.Write(folder["base"], new SyntheticShape(32, 1, 1, 1, 32, 64, 64, 16));
        Directory.CreateDirectory(folder["adapter"]);
        folder.Write("adapter/adapter_model.safetensors", Tensors());
    }

    private static byte[] Tensors() => Fp32File.Of(
    [
        new($"{Module}.lora_A.weight", [2, 32], [.. Enumerable.Range(0, 64).Select(i => i / 64f)]),
        new($"{Module}.lora_B.weight", [32, 2], [.. Enumerable.Range(0, 64).Select(i => -i / 64f)]),
        new("base_model.model.model.norm.weight", [32], new float[32]),
    ]);
}
