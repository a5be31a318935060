using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>Checkpoints that are damaged or hostile: exit code 2, one line that names the file and the fault, no output file.</summary>
public class BadModelTests
{
    private static string Sharded { get; } = Repository.Path("tests", "data", "goldens", "b_bf16_sharded");

    [Fact]
    public async Task A_folder_that_is_missing_or_no_folder()
    {
        using TempFolder temp = new();
        await Fails(temp, temp["nowhere"], "There is no folder", "nowhere");
        await Fails(temp, temp.Write("file", "x"), "is a file");
        await Fails(temp, temp.Path, "neither model.safetensors nor model.safetensors.index.json");
        (await Cli.RunAsync("score", "--model", "", "--device", "cpu", "--prompt", "a", "--response", "b")).Fails(2, "--model is empty");
        (await Cli.RunAsync("inspect", temp["nowhere"])).Fails(2, "There is no folder");
    }

    [Fact]
    public Task Truncated_safetensors() => FailsWith(Cli.Mini, folder =>
    {
        using FileStream file = File.OpenWrite(folder["model.safetensors"]);
        file.SetLength(file.Length - 100);
    }, "model.safetensors", "truncated");

    [Fact]
    public Task A_header_of_2_to_the_60_bytes() => FailsWith(Cli.Mini, folder =>
    {
        byte[] length = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(length, 1UL << 60);
        using FileStream file = File.OpenWrite(folder["model.safetensors"]);
        file.Write(length);
    }, "model.safetensors", "header of 1,152,921,504,606,846,976 bytes");

    [Theory]
    [InlineData("\"dtype\":\"BF16\"", "\"dtype\":\"I8\" ", "type I8")]
    [InlineData("\"dtype\":\"BF16\"", "\"dtype\":\"F32\" ", "bytes, but shape")]
    [InlineData("\"shape\":[4096,256]", "\"shape\":[2048,512]", "has shape [2048, 512], but config.json asks for [4096, 256]")]
    [InlineData("\"shape\":[4096,256]", "\"shape\":[4096,-26]", "dimension")]
    public Task A_wrong_element_type_or_shape(string from, string to, string message) => FailsWith(Cli.Mini, folder =>
    {
        byte[] bytes = File.ReadAllBytes(folder["model.safetensors"]);
        int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        string header = Encoding.UTF8.GetString(bytes, 8, length);
        int tensor = header.IndexOf("embed_tokens.weight", StringComparison.Ordinal), at = header.IndexOf(from, tensor, StringComparison.Ordinal);
        Assert.True(at > 0, header[tensor..(tensor + 100)]);
        // What lies behind moves by less than the spaces that pad the header, or not at all.
        string changed = (header[..at] + to + header[(at + from.Length)..]).TrimEnd().PadRight(length);
        Assert.Equal(length, changed.Length);
        Encoding.UTF8.GetBytes(changed).CopyTo(bytes, 8);
        File.WriteAllBytes(folder["model.safetensors"], bytes);
    }, message);

    [Fact]
    public Task A_missing_shard() =>
        FailsWith(Sharded, folder => File.Delete(folder["model-00002-of-00003.safetensors"]), "model-00002-of-00003.safetensors is missing");

    [Theory]
    [InlineData("../../etc/passwd")]
    [InlineData("/etc/passwd.safetensors")]
    [InlineData("..\\\\up.safetensors")]
    public Task An_index_that_leaves_its_folder(string shard) => FailsWith(Sharded, folder =>
    {
        string index = folder["model.safetensors.index.json"];
        File.WriteAllText(index, File.ReadAllText(index).Replace("model-00002-of-00003.safetensors", shard, StringComparison.Ordinal));
    }, "names the shard", "plain file name");

    [Fact]
    public async Task A_pickle_that_calls_a_program_is_refused_and_nothing_runs()
    {
        using TempFolder temp = new();
        string marker = temp["marker"];
        await FailsWith(Cli.Mini, folder => WriteHostilePickle(folder["gating_layer.pt"], $"touch {marker}"), "gating_layer.pt", "os.system");
        Assert.False(File.Exists(marker));
    }

    [Theory]
    [InlineData("hidden_size", null, "hidden_size")]
    [InlineData("num_hidden_layers", "0", "num_hidden_layers")]
    [InlineData("num_hidden_layers", "1000000000", "num_hidden_layers")]
    [InlineData("num_hidden_layers", "3", "tensors of layer 3")]
    [InlineData("num_hidden_layers", "5", "layers.4.")]
    [InlineData("hidden_size", "-256", "hidden_size")]
    [InlineData("hidden_size", "\"256\"", "hidden_size")]
    [InlineData("head_dim", "33", "head_dim")]
    [InlineData("rms_norm_eps", "1e999", "rms_norm_eps")]
    [InlineData("num_key_value_heads", "3", "num_key_value_heads")]
    [InlineData("num_objectives", "7", "num_objectives")]
    [InlineData("max_position_embeddings", "2147483647", "max_position_embeddings")]
    [InlineData("model_type", "\"falcon\"", "model_type \"falcon\" is not supported")]
    [InlineData("model_type", null, "model_type")]
    public Task A_config_with_a_missing_or_absurd_field(string field, string? value, string message) => FailsWith(Cli.Mini, folder =>
    {
        string[] lines = [.. File.ReadAllLines(folder["config.json"]).Where(l => !l.Contains($"\"{field}\":", StringComparison.Ordinal))];
        if (value is not null) lines[0] += $"\"{field}\": {value},";
        File.WriteAllLines(folder["config.json"], lines);
    }, message);

    [Fact]
    public Task A_config_that_is_missing() => FailsWith(Cli.Mini, folder => File.Delete(folder["config.json"]), "lacks config.json");

    [Fact]
    public Task A_config_that_is_no_JSON() => FailsWith(Cli.Mini, folder => folder.Write("config.json", "{\"hidden_size\": 25"), "config.json is not valid JSON");

    [Fact]
    public Task A_chat_template_that_is_not_known() => FailsWith(Cli.Mini, folder =>
    {
        JsonNode config = JsonNode.Parse(File.ReadAllText(folder["tokenizer_config.json"]))!;
        config["chat_template"] = "{{ messages[0]['content'] }}";
        folder.Write("tokenizer_config.json", config.ToJsonString());
    }, "chat template", "--chat-template gemma2");

    [Fact]
    public async Task A_model_without_a_tokenizer_scores_ids_and_nothing_else()
    {
        using TempFolder model = new TempFolder().WithModel(Cli.Mini);
        File.Delete(model["tokenizer.json"]);
        Outcome run = await Cli.RunWithInputAsync("{\"prompt\":\"a\",\"response\":\"b\"}\n{\"input_ids\":[2,5,6]}\n", "score", "--model", model.Path, "--device", "cpu", "--input", "-");
        Assert.Equal(3, run.Code);
        Assert.Contains("neither tokenizer.json nor tokenizer.model", run.ErrorOf(0), StringComparison.Ordinal);
        Assert.True(run.Lines[1].TryGetProperty("score", out _));
    }

    private static async Task FailsWith(string source, Action<TempFolder> damage, params string[] message)
    {
        using TempFolder model = new TempFolder().WithModel(source);
        damage(model);
        await Fails(model, model.Path, message);
    }

    /// <summary>Scoring into a file fails, and leaves neither it nor anything else behind.</summary>
    private static async Task Fails(TempFolder temp, string model, params string[] message)
    {
        string[] before = temp.Names;
        Outcome run = await Cli.RunAsync("score", "--model", model, "--device", "cpu", "--prompt", "a", "--response", "b", "--output", temp["out.jsonl"]);
        run.Fails(2, message);
        Assert.Equal(before, temp.Names);
    }

    private static void WriteHostilePickle(string path, string command)
    {
        File.Delete(path);
        using ZipArchive zip = ZipFile.Open(path, ZipArchiveMode.Create);
        using (Stream pickle = zip.CreateEntry("gating_layer/data.pkl", CompressionLevel.NoCompression).Open())
        {
            // Protocol 2, GLOBAL os.system, BINUNICODE command, TUPLE1, REDUCE, STOP.
            byte[] text = Encoding.UTF8.GetBytes(command);
            byte[] length = new byte[4];
            BinaryPrimitives.WriteInt32LittleEndian(length, text.Length);
            pickle.Write([0x80, 2, .. "cos\nsystem\n"u8, (byte)'X', .. length, .. text, 0x85, (byte)'R', (byte)'.']);
        }

        using StreamWriter version = new(zip.CreateEntry("gating_layer/version", CompressionLevel.NoCompression).Open());
        version.Write("3\n");
    }
}
