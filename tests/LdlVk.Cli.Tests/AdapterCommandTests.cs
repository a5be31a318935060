using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>PEFT adapters through the commands that open a model.</summary>
[Trait("Duration", "Long")]
public sealed class AdapterCommandTests : IDisposable
{
    private static readonly string Base = Goldens.Read("s_skywork_bf16").Folder;

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_score_with_an_adapter_is_that_of_the_merged_model()
    {
        string adapter = Write("adapter", 3), other = Write("other", 4);
        Outcome plain = await ScoreAsync("--model", Base), merged = await ScoreAsync("--model", Base, "--adapter", adapter);
        Assert.Equal((0, 0), (plain.Code, merged.Code));
        Assert.NotEqual(plain.Out, merged.Out);
        Assert.NotEqual(merged.Out, (await ScoreAsync("--model", Base, "--adapter", other)).Out);

        // The folder of an adapter stands for both, if the base is where it says.
        Assert.Equal(merged.Out, (await ScoreAsync("--model", adapter)).Out);

        // Conversions, streaming and the other commands see the same model.
        Assert.Equal(0, (await Cli.RunAsync("convert", Base, _folder["converted"], "--weights", "int8", "--adapter", adapter)).Code);
        Assert.Equal(
            (await ScoreAsync("--model", Base, "--adapter", adapter, "--weights", "int8")).Out,
            (await ScoreAsync("--model", _folder["converted"])).Out);
        Assert.Equal(
            (await ScoreAsync("--model", Base, "--adapter", adapter, "--weights", "fp32")).Out,
            (await ScoreAsync("--model", Base, "--adapter", adapter, "--weights", "fp32", "--memory", "1MB")).Out);
        Outcome inspected = await Cli.RunAsync("inspect", Base, "--adapter", adapter, "--json");
        Assert.Equal(adapter, Cli.Json(inspected.Out).GetProperty("adapter").GetString());
        Assert.Contains("merged into the base model", (await Cli.RunAsync("inspect", adapter)).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_is_not_resumed_with_another_adapter()
    {
        string adapter = Write("adapter", 3), other = Write("other", 4), input = _folder.Write("in.jsonl", "{\"input_ids\":[1,2,3]}\n");
        string[] flags = ["score", "--input", input, "--output", _folder["out.jsonl"], "--resume", "--device", "cpu", "--model", Base];
        Assert.Equal(0, (await Cli.RunAsync([.. flags, "--adapter", adapter])).Code);
        Assert.Equal(0, (await Cli.RunAsync([.. flags, "--adapter", adapter])).Code);
        (await Cli.RunAsync([.. flags, "--adapter", other])).Fails(2, "model");
        (await Cli.RunAsync(flags)).Fails(2, "model");
    }

    [Fact]
    public async Task What_is_wrong_with_an_adapter_is_said_with_the_flag()
    {
        string adapter = Write("adapter", 3);
        (await ScoreAsync("--model", Base, "--adapter", Base)).Fails(2, "no adapter_config.json");
        (await ScoreAsync("--model", Base, "--adapter", "")).Fails(2, "--adapter is empty");
        (await Cli.RunAsync("bench", "--adapter", adapter)).Fails(2, "--model too");
        (await Cli.RunAsync("tune", "--adapter", adapter)).Fails(2, "--model too");
        File.WriteAllText(_folder["adapter/adapter_config.json"], File.ReadAllText(_folder["adapter/adapter_config.json"]).Replace(Base, "acme/nowhere", StringComparison.Ordinal));
        (await ScoreAsync("--model", adapter)).Fails(2, "acme/nowhere", "base model is needed", $"--adapter {adapter}");
        (await Cli.RunAsync("score", "--model", Base, "--adapter", adapter, "--prompt", "a", "--response", "b", "--output", _folder["adapter/adapter_model.safetensors"]))
            .Fails(2, "would overwrite");
    }

    private Task<Outcome> ScoreAsync(params string[] flags) =>
        Cli.RunWithInputAsync("{\"input_ids\":[1,2,3,4,5]}\n", ["score", "--input", "-", "--device", "cpu", .. flags]);

    /// <summary>Writes an adapter of two matrices of the first layer.</summary>
    private string Write(string name, int seed)
    {
        Directory.CreateDirectory(_folder[name]);
        Random random = new(seed);
        List<OtherHead.Tensor> tensors = [];
        foreach (string module in (string[])["model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj"])
        {
            int[] shape = OtherHead.Read(Base, module + ".weight").Shape;
            tensors.Add(Random($"base_model.model.{module}.lora_A.weight", [2, shape[1]]));
            tensors.Add(Random($"base_model.model.{module}.lora_B.weight", [shape[0], 2]));
        }

        File.WriteAllBytes(_folder[name + "/adapter_model.safetensors"], Fp32File.Of(tensors));
        File.WriteAllText(_folder[name + "/adapter_config.json"], JsonSerializer.Serialize(new
        {
            base_model_name_or_path = Base,
            peft_type = "LORA",
            r = 2,
            lora_alpha = 4,
            target_modules = (string[])["q_proj", "up_proj"],
            layers_to_transform = (int[])[0],
        }));
        return _folder[name];

        OtherHead.Tensor Random(string tensor, int[] shape) =>
            new(tensor, shape, [.. Enumerable.Range(0, shape[0] * shape[1]).Select(_ => (float)random.NextDouble() - 0.5f)]);
    }
}
