using System.Text.Json.Nodes;
using LdlVk.Runtime.Model;
using LdlVk.Testing;

namespace LdlVk.Runtime.Tests.Checkpoints.Adapters;

/// <summary>A copy of a golden checkpoint as a base, and a LoRA adapter of random numbers over it, which tests change and then save.</summary>
internal sealed class MadeAdapter : IDisposable
{
    public const int Rank = 3;
    public const double Alpha = 5;
    public static readonly string[] Targets = ["q_proj", "down_proj"];

    public TempFolder Folder { get; } = new();

    /// <summary>The adapter's tensors by their names in its file.</summary>
    public Dictionary<string, OtherHead.Tensor> Tensors { get; } = new(StringComparer.Ordinal);

    /// <summary>Its adapter_config.json.</summary>
    public JsonObject Config { get; set; } = [];

    public string Adapter => Folder["adapter"];

    public string Base => Folder["base"];

    public void Dispose() => Folder.Dispose();

    /// <summary>Makes a base and an adapter of it, which <see cref="Save"/> writes.</summary>
    public void Write(string golden, string adapter = "")
    {
        Directory.CreateDirectory(Base);
        Directory.CreateDirectory(Adapter);
        foreach (string file in Directory.GetFiles(Repository.Path("tests", "data", "goldens", golden)))
            if (!Path.GetFileName(file).EndsWith("ns.json", StringComparison.Ordinal)) File.Copy(file, Path.Combine(Base, Path.GetFileName(file)));
        Random random = new(7);
        using Checkpoint original = Checkpoint.Open(Base);
        foreach ((string name, int[] shape) in BackboneTensors.Of(original.Config).Where(t => Targets.Any(target => t.Name.Contains(target, StringComparison.Ordinal))))
        {
            string module = $"base_model.model.model.{name[..^".weight".Length]}";
            Add($"{module}.lora_A{adapter}.weight", [Rank, shape[1]]);
            Add($"{module}.lora_B{adapter}.weight", [shape[0], Rank]);
        }

        Config = new JsonObject
        {
            ["base_model_name_or_path"] = "acme/base", ["peft_type"] = "LORA", ["r"] = Rank, ["lora_alpha"] = Alpha,
            ["target_modules"] = new JsonArray([.. Targets.Select(target => (JsonNode)target)]), ["task_type"] = "SEQ_CLS",
        };

        void Add(string name, int[] shape) =>
            Tensors[name] = new OtherHead.Tensor(name, shape, [.. Enumerable.Range(0, shape[0] * shape[1]).Select(_ => ((float)random.NextDouble() - 0.5f) / 4)]);
    }

    public void AddHead(string key)
    {
        int hidden = OtherHead.Read(Base, "score.weight").Shape[1];
        Tensors[key] = new OtherHead.Tensor(key, [1, hidden], [.. Enumerable.Range(0, hidden).Select(i => MathF.Cos(i))]);
        Config["modules_to_save"] = new JsonArray("classifier", "score");
    }

    /// <summary>Makes a base without a head.</summary>
    public void RemoveHead()
    {
        foreach (string path in Directory.GetFiles(Base, "*.safetensors"))
        {
            byte[] bytes = File.ReadAllBytes(path);
            int at = bytes.AsSpan().IndexOf("\"score.weight\""u8);
            if (at >= 0) "\"other.weight\""u8.CopyTo(bytes.AsSpan(at));
            File.WriteAllBytes(path, bytes);
        }

        string index = Path.Combine(Base, "model.safetensors.index.json");
        if (File.Exists(index)) File.WriteAllText(index, File.ReadAllText(index).Replace("\"score.weight\"", "\"other.weight\"", StringComparison.Ordinal));
    }

    public void Save()
    {
        Folder.Write("adapter/adapter_config.json", Config.ToJsonString());
        Folder.Write("adapter/adapter_model.safetensors", Fp32File.Of(Tensors.Values));
    }
}
