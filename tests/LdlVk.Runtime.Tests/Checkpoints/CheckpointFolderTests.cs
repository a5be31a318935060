using System.Text;
using System.Text.Json.Nodes;
using LdlVk.Runtime.Files;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Model.Heads;
using LdlVk.Testing;
using Xunit;
using static LdlVk.Runtime.Tests.Checkpoints.Safetensors;

namespace LdlVk.Runtime.Tests.Checkpoints;

/// <summary>Folders that are incomplete, mixed up or hostile. Each starts as a copy of a golden checkpoint that opens.</summary>
public sealed class CheckpointFolderTests : IDisposable
{
    private const string Index = "model.safetensors.index.json";
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Folders_that_are_no_model_say_what_was_found_and_expected()
    {
        Says("nowhere/at/all", "no folder", "nowhere/at/all");
        string file = _folder.Write("model.gguf", "GGUF");
        Says(file, "is a file", "folder");
        Says(_folder.Path, "model.gguf", "model.safetensors", ".gguf files are not supported");
        File.Delete(file);
        Says(_folder.Path, "no files", "model.safetensors");
        _folder.Write("pytorch_model-00001-of-00002.bin", "x");
        Says(_folder.Path, "pytorch_model-00001-of-00002.bin is a shard without pytorch_model.bin.index.json");
        File.Delete(_folder["pytorch_model-00001-of-00002.bin"]);
        _folder.Write("model-00001-of-00002.safetensors", "x");
        Says(_folder.Path, "shards without model.safetensors.index.json");
    }

    [Theory]
    [InlineData("config.json")]
    [InlineData("regression_layer.pt")]
    [InlineData("gating_layer.pt")]
    [InlineData("model-00002-of-00003.safetensors")]
    public void A_missing_file_is_named(string name)
    {
        _folder.CopyGolden("b_bf16_sharded");
        using (Checkpoint.Open(_folder.Path)) { }
        File.Delete(_folder[name]);
        Says(_folder.Path, _folder.Path, name);
    }

    [Fact]
    public void A_plain_model_without_heads_says_so()
    {
        _folder.CopyGolden("a_f32_sliding");
        File.Delete(_folder["regression_layer.pt"]);
        File.Delete(_folder["gating_layer.pt"]);
        Says(_folder.Path, "regression_layer.pt and gating_layer.pt", "plain Gemma-2");
    }

    [Theory]
    [InlineData("../../etc/passwd")]
    [InlineData("../model.safetensors")]
    [InlineData("/etc/passwd.safetensors")]
    [InlineData("sub/model.safetensors")]
    [InlineData("..\\model.safetensors")]
    [InlineData("C:model.safetensors")]
    [InlineData("..")]
    [InlineData("")]
    [InlineData("a\0.safetensors")]
    [InlineData("config.json")]
    public void Names_in_the_index_never_leave_the_folder(string shard)
    {
        _folder.CopyGolden("b_bf16_sharded");
        EditIndex(map => map["norm.weight"] = shard);
        Says(_folder.Path, _folder[Index], shard.Replace('\0', '?'), "plain file name");
    }

    /// <summary>A link is the user's own, wherever it leads: weights on another disk, a folder of the Hub's old local_dir.</summary>
    [Fact]
    public void Links_of_the_user_are_followed()
    {
        using TempFolder outside = new();
        _folder.CopyGolden("b_bf16_sharded");
        foreach (string file in Directory.GetFiles(_folder.Path))
        {
            File.Move(file, outside[Path.GetFileName(file)]);
            Link(file, outside[Path.GetFileName(file)]);
        }

        using (Checkpoint.Open(_folder.Path)) { }
        File.Delete(outside["model-00003-of-00003.safetensors"]);
        Says(_folder.Path, _folder["model-00003-of-00003.safetensors"], "is a link to " + outside["model-00003-of-00003.safetensors"], "does not exist");
    }

    /// <summary>The layout of the Hub's cache, MODEL/blobs/HASH and links MODEL/snapshots/REVISION/NAME -> ../../blobs/HASH, and links to its folders.</summary>
    [Fact]
    public void A_linked_folder_of_the_hubs_cache_is_read()
    {
        using TempFolder cache = new();
        _folder.CopyGolden("b_bf16_sharded");
        string snapshot = Directory.CreateDirectory(cache["model/snapshots/abc"]).FullName, blobs = Directory.CreateDirectory(cache["model/blobs"]).FullName;
        foreach (string file in Directory.GetFiles(_folder.Path))
        {
            File.Copy(file, Path.Combine(blobs, Path.GetFileName(file) + "-hash"));
            Link(Path.Combine(snapshot, Path.GetFileName(file)), "../../blobs/" + Path.GetFileName(file) + "-hash");
        }

        using (Checkpoint.Open(snapshot)) { }
        Link(cache["linked"], snapshot);
        using (Checkpoint.Open(cache["linked"])) { }
        Link(cache["snapshots"], Path.GetDirectoryName(snapshot)!);
        using (Checkpoint.Open(Path.Combine(cache["snapshots"], "abc"))) { }
        Says(cache["model"], "Hub's cache", snapshot);
        Assert.Equal(RealPath.Of(Path.Combine(blobs, "config.json-hash")), RealPath.Of(Path.Combine(cache["linked"], "config.json")));
    }

    [Fact]
    public void Links_in_a_circle_come_to_an_end()
    {
        Link(_folder["a"], _folder["b"]);
        Link(_folder["b"], _folder["a"]);
        Assert.NotNull(RealPath.Of(_folder["a"]));
    }

    [Fact]
    public void An_index_that_lies_is_refused()
    {
        _folder.CopyGolden("b_bf16_sharded");
        string sound = File.ReadAllText(_folder[Index]);
        EditIndex(map => map["layers.7.extra"] = "model-00001-of-00003.safetensors");
        Says(_folder.Path, "layers.7.extra", "model-00001-of-00003.safetensors", "does not have it");
        _folder.Write(Index, sound);
        EditIndex(map => map.Remove("layers.2.mlp.up_proj.weight"));
        Says(_folder.Path, "layers.2.mlp.up_proj.weight", _folder.Path);
        _folder.Write(Index, """{"metadata":{}}""");
        Says(_folder.Path, _folder[Index], "weight_map");
        _folder.Write(Index, """{"weight_map":{"norm.weight":3}}""");
        Says(_folder.Path, _folder[Index], "norm.weight", "3");
        _folder.Write(Index, """{"weight_map":{"norm.weight":"a.safetensors",}}""");
        Says(_folder.Path, _folder[Index], "JSON", "norm.weight");
    }

    [Fact]
    public void A_tensor_with_and_without_prefix_is_refused()
    {
        _folder.CopyGolden("a_f32_sliding");
        _folder.Write("model.safetensors", Build(
            """{"norm.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"model.norm.weight":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", Floats(1, 2)));
        Says(_folder.Path, "norm.weight twice", _folder.Path);
    }

    [Theory]
    [InlineData("hidden_size", 128, "embed_tokens.weight", "[512, 64]", "[512, 128]")]
    [InlineData("num_hidden_layers", 5, "layers.4.input_layernorm.weight")]
    [InlineData("num_hidden_layers", 3, "layer 3", "num_hidden_layers 3")]
    [InlineData("num_key_value_heads", 4, "layers.0.self_attn.k_proj.weight", "[32, 64]", "[64, 64]")]
    [InlineData("num_objectives", 110, "220 outputs", "num_objectives 110", "regression_layer.pt")]
    public void A_config_of_another_model_is_noticed(string field, int value, params string[] says)
    {
        _folder.CopyGolden("a_f32_sliding");
        EditConfig(config => config[field] = value);
        Says(_folder.Path, says);
    }

    [Theory]
    [InlineData("num_objectives", null, 220)]
    [InlineData("softmax", "true", 1)] // temperature 1 where nothing else is said
    public void Head_settings_have_the_originals_defaults(string field, string? json, int expected)
    {
        _folder.CopyGolden("a_f32_sliding");
        EditConfig(config => config[field] = json is null ? null : JsonNode.Parse(json), remove: json is null ? field : null);
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal(expected, field == "softmax" ? Ldl(checkpoint).GateTemperature : Ldl(checkpoint).Objectives);
    }

    [Fact]
    public void Heads_that_do_not_fit_are_refused()
    {
        _folder.CopyGolden("a_f32_sliding");
        Head(p => p.Text("net.0.weight").Tensor("FloatStorage", "0", 4096, 0, [32, 128], [128, 1]).Text("net.0.bias").Tensor("FloatStorage", "0", 4096, 0, [32], [1]),
            "net.0.weight", "[32, 128]", "[any, 64]", "hidden_size");
        Head(p => p.Text("net.0.weight").Tensor("FloatStorage", "0", 4096, 0, [32, 64], [64, 1]).Text("net.0.bias").Tensor("FloatStorage", "0", 4096, 0, [31], [1]),
            "net.0.bias", "[31]", "32 rows");
        Head(p => p.Text("net.0.weight").Tensor("FloatStorage", "0", 4096, 0, [32, 64], [64, 1]), "net.0.bias");
        Head(p => p.Text("net.norm.weight").Tensor("FloatStorage", "0", 4096, 0, [64], [1]), "net.norm.weight", "INDEX");
        Head(p => p.Text("temperature").Tensor("FloatStorage", "0", 4096, 0, [1], [1]), "temperature");
        Head(p => p.Text("a.0.bias").Tensor("FloatStorage", "0", 4096, 0, [1], [1]).Text("b.0.bias").Tensor("FloatStorage", "0", 4096, 0, [1], [1]), "a.0", "b.0");
        Head(_ => { }, "no tensors");
        Head(p => p.Text("net.0.weight").Tensor("FloatStorage", "0", 4096, 0, [33, 64], [64, 1]).Text("net.0.bias").Tensor("FloatStorage", "0", 4096, 0, [33], [1]),
            "220 outputs", "33 outputs", "gating_layer.pt");

        // Layers in the order of their numbers, not of their names or places: 2 comes before 10. Prefixes do not matter.
        (int Index, int Outputs, int Inputs)[] layers = [(10, 22, 8), (8, 8, 7), (2, 5, 4), (4, 6, 5), (0, 4, 64), (6, 7, 6)];
        Write(p => Layers(p, layers));
        using (Checkpoint checkpoint = Checkpoint.Open(_folder.Path))
            Assert.Equal(
                layers.OrderBy(layer => layer.Index).Select(layer => (layer.Outputs, layer.Inputs)),
                Ldl(checkpoint).Gating.Select(layer => (layer.Outputs, layer.Inputs)));

        // Shapes fit, and the numbers leave room for a layer that is not there.
        Head(p => Layers(p, [(2, 3, 64), (4, 22, 3)]), "lacks a linear layer before net.2", "gating_layer.pt");
        Head(p => Layers(p, [(0, 3, 64), (2, 3, 3), (6, 22, 3)]), "lacks a linear layer between net.2 and net.6", "gating_layer.pt");

        static void Layers(Pickle pickle, (int Index, int Outputs, int Inputs)[] layers)
        {
            foreach ((int index, int outputs, int inputs) in layers)
                pickle.Text($"net.{index}.weight").Tensor("FloatStorage", "0", 4096, 0, [outputs, inputs], [inputs, 1])
                    .Text($"net.{index}.bias").Tensor("FloatStorage", "0", 4096, 0, [outputs], [1]);
        }

        void Write(Action<Pickle> items) => _folder.Write("gating_layer.pt", Pickle.Zip(Pickle.StateDict(items), ("data/0", new byte[4 * 4096])));
        void Head(Action<Pickle> items, params string[] says)
        {
            Write(items);
            Says(_folder.Path, says);
        }
    }

    [Fact]
    public void A_hostile_head_is_refused_when_the_folder_is_opened()
    {
        _folder.CopyGolden("a_f32_sliding");
        string marker = _folder["marker"];
        _folder.Write("regression_layer.pt", Pickle.Zip(new Pickle().Protocol().Global("os", "system").Raw("(").Text("touch " + marker).Raw("tR.").ToArray()));
        Says(_folder.Path, _folder["regression_layer.pt"], "os.system", "Nothing was executed");
        Assert.False(File.Exists(marker));
    }

    private static void Link(string path, string target)
    {
        try
        {
            if (Directory.Exists(target)) Directory.CreateSymbolicLink(path, target);
            else File.CreateSymbolicLink(path, target);
        }
        catch (IOException)
        {
            Assert.Skip("this account may not make symbolic links");
        }
    }

    private void EditIndex(Action<JsonObject> edit)
    {
        JsonNode index = JsonNode.Parse(File.ReadAllText(_folder[Index]))!;
        edit(index["weight_map"]!.AsObject());
        _folder.Write(Index, Encoding.UTF8.GetBytes(index.ToJsonString()));
    }

    private void EditConfig(Action<JsonObject> edit, string? remove = null)
    {
        JsonObject config = JsonNode.Parse(File.ReadAllText(_folder["config.json"]))!.AsObject();
        edit(config);
        if (remove is not null) config.Remove(remove);
        _folder.Write("config.json", config.ToJsonString());
    }

    private static void Says(string folder, params string[] says)
    {
        string message = Assert.Throws<CheckpointException>(() => Checkpoint.Open(folder).Dispose()).Message;
        foreach (string part in says) Assert.Contains(part, message);
    }

    private static LdlHead Ldl(Checkpoint checkpoint) => Assert.IsType<LdlHead>(checkpoint.Head);
}
