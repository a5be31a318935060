using System.Text.Json.Nodes;

namespace LdlVk.Testing;

/// <summary>Little checkpoints of any family and any config.json, with random weights in fp32 and a head of a test's.</summary>
public static class MadeFamily
{
    /// <summary>The fields that a family's files have, before a test changes them.</summary>
    public static JsonObject Config(string type)
    {
        JsonObject config = new()
        {
            ["model_type"] = type, ["hidden_size"] = 40, ["num_hidden_layers"] = 3, ["num_attention_heads"] = 4, ["num_key_value_heads"] = 2,
            ["head_dim"] = type == "internlm2" ? 10 : 12, ["intermediate_size"] = 56, ["vocab_size"] = 90, ["max_position_embeddings"] = 128,
            ["rms_norm_eps"] = 1e-5, ["rope_theta"] = 10000.0, ["pad_token_id"] = 7, ["torch_dtype"] = "float32",
        };
        config[type.StartsWith("gemma", StringComparison.Ordinal) ? "hidden_activation" : "hidden_act"] =
            type.StartsWith("gemma", StringComparison.Ordinal) ? "gelu_pytorch_tanh" : "silu";
        if (type == "internlm2")
        {
            config["bias"] = false;
            config["reward_token_id"] = 89;
        }

        return config;
    }

    /// <summary>Makes the tensors of a backbone.</summary>
    /// <param name="config">Its config.json.</param>
    /// <param name="size">Size of a head.</param>
    /// <param name="groups">Number of KV heads.</param>
    /// <param name="biases">The matrices that have a bias: <c>qkv</c>, <c>qkvo</c>, with <c>gud</c> those of the feed-forward network too.</param>
    public static List<OtherHead.Tensor> Backbone(JsonObject config, int size, int groups, string biases = "")
    {
        string type = (string)config["model_type"]!;
        int hidden = (int)config["hidden_size"]!, feed = (int)config["intermediate_size"]!, heads = (int)config["num_attention_heads"]!;
        bool isIntern = type == "internlm2", isPhi = type == "phi3", hasFour = type is "gemma2" or "gemma3_text";
        double center = type.StartsWith("gemma", StringComparison.Ordinal) ? 0 : 1;
        Random random = new(11);
        List<OtherHead.Tensor> all = [Matrix(isIntern ? "model.tok_embeddings" : "model.embed_tokens", (int)config["vocab_size"]!, hidden, 1)];
        for (int layer = 0; layer < (int)config["num_hidden_layers"]!; layer++)
        {
            string at = $"model.layers.{layer}.";
            string[] norms = isIntern ? ["attention_norm", "ffn_norm"]
                : type == "olmo2" ? ["post_attention_layernorm", "post_feedforward_layernorm"]
                : hasFour ? ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"]
                : ["input_layernorm", "post_attention_layernorm"];
            all.AddRange(norms.Select(norm => Norm(at + norm, hidden)));
            if (type == "olmo2") all.AddRange([Norm(at + "self_attn.q_norm", heads * size), Norm(at + "self_attn.k_norm", groups * size)]);
            if (type is "qwen3" or "gemma3_text") all.AddRange([Norm(at + "self_attn.q_norm", size), Norm(at + "self_attn.k_norm", size)]);
            if (isIntern)
            {
                Linear(at + "attention.wqkv", ((2 * groups) + heads) * size, hidden, biases.Length > 0);
                Linear(at + "attention.wo", hidden, heads * size, biases.Length > 0);
            }
            else if (isPhi)
            {
                Linear(at + "self_attn.qkv_proj", ((2 * groups) + heads) * size, hidden, false);
                Linear(at + "self_attn.o_proj", hidden, heads * size, false);
            }
            else
            {
                Linear(at + "self_attn.q_proj", heads * size, hidden, biases.Contains('q', StringComparison.Ordinal));
                Linear(at + "self_attn.k_proj", groups * size, hidden, biases.Contains('k', StringComparison.Ordinal));
                Linear(at + "self_attn.v_proj", groups * size, hidden, biases.Contains('v', StringComparison.Ordinal));
                Linear(at + "self_attn.o_proj", hidden, heads * size, biases.Contains('o', StringComparison.Ordinal));
            }

            (string gate, string up, string down) = isIntern
                ? ("feed_forward.w1", "feed_forward.w3", "feed_forward.w2") : ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj");
            if (isPhi) Linear(at + "mlp.gate_up_proj", 2 * feed, hidden, false);
            else
            {
                Linear(at + gate, feed, hidden, biases.Contains('g', StringComparison.Ordinal));
                Linear(at + up, feed, hidden, biases.Contains('u', StringComparison.Ordinal));
            }

            Linear(at + down, hidden, feed, biases.Contains('d', StringComparison.Ordinal));
        }

        all.Add(Norm("model.norm", hidden));
        return all;

        void Linear(string name, int rows, int columns, bool hasBias)
        {
            all.Add(Matrix(name, rows, columns, 1.2 / Math.Sqrt(columns)));
            if (hasBias) all.Add(new OtherHead.Tensor(name + ".bias", [rows], Values(rows, 0.5, 0)));
        }

        OtherHead.Tensor Matrix(string name, int rows, int columns, double scale) => new(name + ".weight", [rows, columns], Values(rows * columns, scale, 0));

        OtherHead.Tensor Norm(string name, int length) => new(name + ".weight", [length], Values(length, 0.3, center));

        float[] Values(int count, double scale, double middle) =>
            [.. Enumerable.Range(0, count).Select(_ => (float)(middle + (scale * 1.7 * ((2 * random.NextDouble()) - 1))))];
    }

    /// <summary>A linear layer of a head.</summary>
    public static OtherHead.Tensor Head(string name, int rows, int hidden) =>
        new(name, [rows, hidden], [.. Enumerable.Range(0, rows * hidden).Select(i => (float)(Math.Sin((i * 1.7) + 1) / Math.Sqrt(hidden)))]);

    /// <summary>Writes a model's folder.</summary>
    public static void Write(string folder, JsonObject config, IReadOnlyList<OtherHead.Tensor> tensors)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString());
        OtherHead.WriteTensors(Path.Combine(folder, "model.safetensors"), tensors);
    }
}
