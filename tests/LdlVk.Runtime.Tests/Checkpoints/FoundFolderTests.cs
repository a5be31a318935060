using System.Buffers.Binary;
using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Checkpoints;

/// <summary>Folders as people have them: names as training programs write them, and what lies in the place of a model.</summary>
public sealed class FoundFolderTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>A common prefix of all names of the backbone is not ambiguous; the head has all of it, its beginning, or nothing.</summary>
    [Theory]
    [InlineData("model.", "")]
    [InlineData("", "")]
    [InlineData("module.model.", "module.")]
    [InlineData("_orig_mod.model.", "_orig_mod.")]
    [InlineData("module._orig_mod.model.", "module._orig_mod.")]
    [InlineData("_orig_mod.module.model.", "_orig_mod.module.")]
    [InlineData("base_model.model.model.", "base_model.model.")]
    [InlineData("pretrained_model.model.", "pretrained_model.")]
    [InlineData("pretrained_model.model.", "")]
    [InlineData("pretrained_model.base_model.model.model.", "pretrained_model.base_model.model.")]
    [InlineData("model.model.", "")]
    [InlineData("model.model.", "model.")]
    [InlineData("_fsdp_wrapped_module.model.", "_fsdp_wrapped_module.")]
    [InlineData("transformer.", "")]
    public void Names_with_a_common_prefix_are_read(string backbone, string head)
    {
        Renamed(name => name == "score.weight" ? head + name : backbone + name["model.".Length..]);
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal("score", checkpoint.Head.Name);
    }

    [Fact]
    public void A_layer_that_was_compiled_by_itself_is_read()
    {
        Renamed(name => name.Replace("model.layers.1.", "model.layers.1._orig_mod.").Replace("model.layers.2.mlp.", "model.layers.2.mlp._checkpoint_wrapped_module."));
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal(4, checkpoint.Config.Layers);
    }

    [Fact]
    public void Two_models_in_one_file_are_refused_and_both_are_named()
    {
        Renamed(name => "policy." + name, name => "reference." + name);
        Says("two models", "policy.model.embed_tokens.weight", "reference.model.embed_tokens.weight");
    }

    /// <summary>PEFT keeps a head that was trained with an adapter under another name, and the one before the training beside it.</summary>
    [Fact]
    public void A_head_under_PEFTs_name_is_read()
    {
        Renamed(name => name.Replace("score.", "score.modules_to_save.default."), name => name == "score.weight" ? "score.original_module.weight" : null);
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal("score", checkpoint.Head.Name);
    }

    [Fact]
    public void OpenRLHFs_value_head_is_read()
    {
        Renamed(name => name.Replace("score.", "value_head."));
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal("a value head (OpenRLHF)", checkpoint.Head.Title(checkpoint.Config.Architecture));
        Assert.Equal(3, checkpoint.ReadPosition([5, 0, 6, 0]));
    }

    /// <summary>TRL and LLaMA-Factory put the value head into a file of its own beside the weights.</summary>
    [Theory]
    [InlineData("value_head.safetensors")]
    [InlineData("value_head.bin")]
    public void A_value_head_in_a_file_of_its_own_is_read(string file)
    {
        Renamed(name => name == "score.weight" ? null : name);
        byte[] weights = new byte[96 * 4];
        _folder.Write(file, file.EndsWith(".bin", StringComparison.Ordinal)
            ? Pickle.Zip(Pickle.StateDict(p => p.Text("v_head.summary.weight").Tensor("FloatStorage", "0", 96, 0, [1, 96], [96, 1])), ("data/0", weights))
            : Safetensors.Build("""{"v_head.summary.weight":{"dtype":"F32","shape":[1,96],"data_offsets":[0,384]}}""", weights));
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal("a value head (GRM)", checkpoint.Head.Title(checkpoint.Config.Architecture));
        Assert.Contains(file, Checkpoint.HeadFiles);
    }

    [Theory]
    [InlineData("ranking_layer.weight")]
    [InlineData("v_heads.weight")]
    public void A_head_that_is_not_known_is_named(string name)
    {
        Renamed(other => other == "score.weight" ? name : other);
        Says("no reward head", name, "not supported");
    }

    [Fact]
    public void A_part_of_a_gated_head_names_what_is_missing()
    {
        Renamed(other => other == "score.weight" ? "regression_layer.weight" : other);
        Says("regression_layer.weight", "gating.layers", "ArmoRM");
    }

    [Fact]
    public void A_language_models_own_head_is_none()
    {
        Renamed(name => name == "score.weight" ? "lm_head.weight" : name);
        Says("no reward head", "plain Gemma-2");
        Renamed(name => name, name => name == "score.weight" ? "lm_head.weight" : null);
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal("score", checkpoint.Head.Name);
    }

    [Theory]
    [InlineData("model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.q_proj.qweight", "GPTQ or AWQ")]
    [InlineData("model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.q_proj.weight.absmax", "bitsandbytes")]
    [InlineData("model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.q_proj.lora_A.default.weight", "LoRA adapter")]
    public void Weights_that_another_tool_changed_are_named(string name, string other, string says)
    {
        Renamed(key => key == name ? other : key);
        Says(says);
    }

    [Theory]
    [InlineData("{\"bits\":4}", "another tool")]
    [InlineData("{\"quant_method\":\"gptq\",\"bits\":4}", "GPTQ")]
    [InlineData("{\"quant_method\":\"awq\"}", "AWQ")]
    [InlineData("{\"quant_method\":\"bitsandbytes\",\"load_in_4bit\":true}", "bitsandbytes")]
    public void Quantized_models_are_named_by_their_method(string quantization, string says)
    {
        _folder.CopyGolden("s_skywork_bf16");
        JsonObject config = JsonNode.Parse(File.ReadAllText(_folder["config.json"]))!.AsObject();
        config["quantization_config"] = JsonNode.Parse(quantization);
        _folder.Write("config.json", config.ToJsonString());
        Says("quantization_config", says, "original model");
    }

    [Fact]
    public void Tensors_that_ZeRO_3_left_empty_are_named()
    {
        Renamed(name => name, shape: _ => [0]);
        Says("shape [0]", "ZeRO-3", "zero_to_fp32.py");
    }

    [Fact]
    public void Metadata_may_be_null()
    {
        Renamed(name => name, metadata: "\"__metadata__\":null,");
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal(4, checkpoint.Config.Layers);
    }

    [Theory]
    [InlineData("adapter_config.json", "{\"base_model_name_or_path\":\"acme/base\"}", "PEFT adapter of acme/base", "without adapter_model.safetensors")]
    [InlineData("adapter_model.safetensors", "x", "rename the file")]
    [InlineData("consolidated.00.pth", "x", "consolidated.*", "convert")]
    [InlineData("model.fp16.safetensors", "x", "variant fp16", "Rename it to model.safetensors")]
    [InlineData("model.bf16.safetensors.index.json", "x", "variant bf16", "model.safetensors.index.json")]
    [InlineData("pytorch_model.bin", "x", "not a zip file", "weights_only=True")]
    [InlineData("optimizer.bin", "x", "pytorch_model.bin is the name")]
    [InlineData("model-00001-of-00002.safetensors", "x", "shards without model.safetensors.index.json")]
    [InlineData("model.onnx", "x", "another runtime")]
    [InlineData("model-q8.gguf", "x", ".gguf")]
    [InlineData("global_step100/mp_rank_00_model_states.pt", "x", "DeepSpeed", "zero_to_fp32.py")]
    [InlineData("checkpoint-500/model.safetensors", "x", "checkpoint-500")]
    public void A_folder_of_another_kind_is_named(string name, string content, params string[] says)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_folder[name])!);
        _folder.Write(name, content);
        _folder.Write("config.json", "{}");
        Says(says);
    }

    [Theory]
    [InlineData("config.json")]
    [InlineData("model.safetensors")]
    public void A_file_that_holds_something_else_is_named(string name)
    {
        _folder.CopyGolden("s_skywork_bf16");
        foreach ((string content, string says) in (IEnumerable<(string, string)>)[
            ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345678\n", "Git LFS pointer"),
            ("<!DOCTYPE html>\n<html><title>Sign in</title></html>\n", "web page"),
            ("\n  <HTML><head></head></HTML>", "web page"),
            ("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "XML"),
            ("../../blobs/0123456789abcdef", "it was a link"),
            ("", "empty")])
        {
            _folder.Write(name, content);
            Says(_folder[name], says);
        }
    }

    [Fact]
    public void A_name_of_a_repository_that_is_no_folder_says_how_to_get_it()
    {
        string Message(string folder) => Assert.Throws<CheckpointException>(() => Checkpoint.Open(folder)).Message;
        Assert.Contains("ldlvk pull acme/reward-2.1 DIR", Message("acme/reward-2.1"), StringComparison.Ordinal);
        Assert.All((string[])["./acme/reward", "/acme/reward", "acme", "../reward", "a/b/c"], name => Assert.DoesNotContain("pull", Message(name), StringComparison.Ordinal));
    }

    /// <summary>Reading a pipe waits until somebody writes into it.</summary>
    [Theory]
    [InlineData("config.json")]
    [InlineData("model.safetensors")]
    public async Task A_named_pipe_is_refused_at_once(string name)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "named pipes in folders are of Unix");
        _folder.CopyGolden("s_skywork_bf16");
        File.Delete(_folder[name]);
        using (Process made = Process.Start("mkfifo", _folder[name])) await made.WaitForExitAsync(TestContext.Current.CancellationToken);
        Task says = Task.Run(() => Says(_folder[name], "is a pipe"), TestContext.Current.CancellationToken);
        await says.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
    }

    /// <summary>Writes the reference's classifier with its tensors under other names, and further ones; null leaves one out.</summary>
    private void Renamed(Func<string, string?> name, Func<string, string?>? again = null, Func<string, int[]>? shape = null, string metadata = "")
    {
        if (!File.Exists(_folder["config.json"])) _folder.CopyGolden("s_skywork_bf16");
        List<string> entries = [];
        using MemoryStream data = new();
        foreach (string path in Directory.GetFiles(Repository.Path("tests", "data", "goldens", "s_skywork_bf16"), "*.safetensors"))
        {
            byte[] file = File.ReadAllBytes(path);
            int length = (int)BinaryPrimitives.ReadInt64LittleEndian(file);
            using JsonDocument header = JsonDocument.Parse(file.AsMemory(8, length));
            foreach (JsonProperty tensor in header.RootElement.EnumerateObject())
            {
                foreach (Func<string, string?> rename in again is null ? [name] : new[] { name, again })
                {
                    if (tensor.Name == "__metadata__" || rename(tensor.Name) is not { } key) continue;
                    int from = tensor.Value.GetProperty("data_offsets")[0].GetInt32(), to = tensor.Value.GetProperty("data_offsets")[1].GetInt32();
                    long begin = data.Length;
                    string sizes = shape is null ? tensor.Value.GetProperty("shape").GetRawText() : $"[{string.Join(',', shape(tensor.Name))}]";
                    if (shape is null) data.Write(file, 8 + length + from, to - from);
                    string type = tensor.Value.GetProperty("dtype").GetRawText();
                    entries.Add($"\"{key}\":{{\"dtype\":{type},\"shape\":{sizes},\"data_offsets\":[{begin},{data.Length}]}}");
                }
            }
        }

        _folder.Write("model.safetensors", Safetensors.Build($"{{{metadata}{string.Join(',', entries)}}}", data.ToArray()));
    }

    private void Says(params string[] says)
    {
        string message = Assert.Throws<CheckpointException>(() => Checkpoint.Open(_folder.Path).Dispose()).Message;
        foreach (string part in says) Assert.Contains(part, message, StringComparison.Ordinal);
    }
}
