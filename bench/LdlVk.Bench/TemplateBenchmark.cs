using System.Text.Json;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using LdlVk.Runtime.Text;
using LdlVk.Testing;

namespace LdlVk.Bench;

/// <summary>
/// Renders short conversations (a prompt of about 100 characters and a response of about 200) on one thread with public chat templates
/// (fetched by eng/fetch-templates), by the interpreter of Jinja and, where there is one, by the template in C#. Target: 10,000 a second.
/// </summary>
[Config(typeof(Throughput))]
public class TemplateBenchmark
{
    private const int Conversations = 1000;

    /// <summary>A statement that prints nothing, with which a template is none of those in C#.</summary>
    private const string Unknown = "{%- if false %}{%- endif %}";

    private readonly Message[][] conversations = new Message[Conversations][];
    private ChatTemplate template = null!;

    [Params("llama3", "llama3.1", "llama3.1-c#", "gemma2", "gemma2-c#", "qwen2.5", "qwen3", "mistral-nemo")]
    public string Template { get; set; } = "";

    [GlobalSetup]
    public void Setup()
    {
        (string file, string bos, string eos) = Template.Replace("-c#", "", StringComparison.Ordinal) switch
        {
            "llama3" => ("lenml-llama3.json", "<|begin_of_text|>", "<|end_of_text|>"),
            "llama3.1" => ("meta-llama-Llama-3.1-8B-Instruct.jinja", "<|begin_of_text|>", "<|eot_id|>"),
            "gemma2" => ("google-gemma-2-2b-it.jinja", "<bos>", "<eos>"),
            "qwen2.5" => ("Qwen-Qwen2.5-7B-Instruct.jinja", "", "<|im_end|>"),
            "qwen3" => ("Qwen-Qwen3-0.6B.jinja", "", "<|im_end|>"),
            _ => ("mistralai-Mistral-Nemo-Instruct-2407.jinja", "<s>", "</s>"),
        };
        (string? folder, string? whyNot) = FetchScript.Run("fetch-templates");
        string source = File.ReadAllText(Path.Combine(folder ?? throw new FileNotFoundException(whyNot), file));
        if (Path.GetExtension(file) == ".json") source = JsonDocument.Parse(source).RootElement.GetProperty("chat_template").GetString()!;
        bool isCSharp = Template.EndsWith("-c#", StringComparison.Ordinal);
        using TempFolder model = new();
        model.Write("chat_template.jinja", isCSharp ? source : source + Unknown);
        template = ChatTemplate.Detect(model.Write("tokenizer_config.json", JsonSerializer.Serialize(
            bos.Length > 0 ? new { bos_token = bos, eos_token = eos } : new { eos_token = eos } as object))).Template;
        if (template.Name.StartsWith("jinja", StringComparison.Ordinal) == isCSharp)
            throw new InvalidOperationException($"{Template} is run by {template.Name}.");

        string prose = Prose.Megabyte();
        for (int i = 0; i < Conversations; i++)
            conversations[i] = [new("user", Part(i * 300, 100)), new("assistant", Part((i * 300) + 100, 200))];

        string Part(int first, int about) => prose.Substring(first, about + (first % 41) - 20);
    }

    [Benchmark]
    public int Render()
    {
        int characters = 0;
        foreach (Message[] conversation in conversations) characters += template.Render(conversation).Length;
        return characters;
    }

    private sealed class Throughput : ManualConfig
    {
        public Throughput() => AddColumn(new RateColumn("renders/s", "conversations a second, from the mean", 1e9 * Conversations));
    }
}
