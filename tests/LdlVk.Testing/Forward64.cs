using System.Text.Json.Nodes;

namespace LdlVk.Testing;

/// <summary>
/// The forward pass of every family in double, from config.json and the tensors alone, as transformers' modeling files compute it. It shares
/// no code with the product, is slow, and says nothing where a file is damaged. The goldens hold it to the real classes.
/// </summary>
public sealed class Forward64
{
    private readonly JsonObject _config;
    private readonly Dictionary<string, OtherHead.Tensor> _tensors;
    private readonly string _type;
    private readonly int _hidden, _layers, _heads, _groups, _size;
    private readonly double _epsilon;

    /// <summary>Makes the pass of a model.</summary>
    /// <param name="config">Its config.json.</param>
    /// <param name="tensors">Its tensors; names of the backbone may begin with <c>model.</c>.</param>
    public Forward64(JsonObject config, IEnumerable<OtherHead.Tensor> tensors)
    {
        _config = config;
        _tensors = tensors.ToDictionary(t => t.Name.StartsWith("model.", StringComparison.Ordinal) ? t.Name["model.".Length..] : t.Name);
        _type = (string)config["model_type"]!;
        (_hidden, _layers, _heads) = (Integer("hidden_size")!.Value, Integer("num_hidden_layers")!.Value, Integer("num_attention_heads")!.Value);
        _groups = config.ContainsKey("num_key_value_heads") ? Integer("num_key_value_heads") ?? _heads : _type switch { "qwen2" or "qwen3" => 32, "mistral" => 8, "gemma" => 16, "gemma2" or "gemma3_text" => 4, _ => _heads };
        _size = Integer("head_dim") ?? _type switch { "gemma" or "gemma2" or "gemma3_text" => 256, "qwen3" => 128, _ => _hidden / _heads };
        _epsilon = Number("rms_norm_eps") ?? (_type is "phi3" or "olmo2" ? 1e-5 : 1e-6);
    }

    private bool IsGemma => _type.StartsWith("gemma", StringComparison.Ordinal);

    /// <summary>A tensor, without <c>model.</c></summary>
    public OtherHead.Tensor this[string name] => _tensors[name];

    /// <summary>The hidden states of a text after the final norm, a row for each token.</summary>
    public double[][] Hidden(int[] ids)
    {
        OtherHead.Tensor table = _tensors[_type == "internlm2" ? "tok_embeddings.weight" : "embed_tokens.weight"];
        double scale = IsGemma ? Math.Sqrt(_hidden) : 1;
        double[][] x = [.. ids.Select(id => Row(table, id).Select(value => value * scale).ToArray())];
        for (int layer = 0; layer < _layers; layer++)
        {
            bool hasFour = _type is "gemma2" or "gemma3_text", isOlmo = _type == "olmo2", normsOutputs = hasFour || isOlmo;
            (string before, string after) = _type == "internlm2" ? ("attention_norm", "ffn_norm")
                : ("input_layernorm", hasFour ? "pre_feedforward_layernorm" : "post_attention_layernorm");
            string at = $"layers.{layer}.";
            double[][] y = Attention(layer, [.. x.Select(row => isOlmo ? row : Norm(row, at + before))]);
            if (normsOutputs) y = [.. y.Select(row => Norm(row, at + "post_attention_layernorm"))];
            Add(x, y);
            y = [.. x.Select(row => FeedForward(isOlmo ? row : Norm(row, at + after), at))];
            if (normsOutputs) y = [.. y.Select(row => Norm(row, at + "post_feedforward_layernorm"))];
            Add(x, y);
        }

        return [.. x.Select(row => Norm(row, "norm"))];
    }

    /// <summary>W·x + b, with the bias if there is one.</summary>
    public double[] Linear(double[] x, string module)
    {
        OtherHead.Tensor weight = _tensors[module + ".weight"];
        _tensors.TryGetValue(module + ".bias", out OtherHead.Tensor? bias);
        return [.. Enumerable.Range(0, weight.Shape[0]).Select(n => Dot(Row(weight, n), x) + (bias?.Values[n] ?? 0))];
    }

    private double[][] Attention(int layer, double[][] x)
    {
        string at = $"layers.{layer}.";
        (double[][] q, double[][] k, double[][] v) = Projections(at, x);
        (double[] frequencies, double magnitude) = Rope(IsSliding(layer));
        for (int t = 0; t < x.Length; t++)
        {
            for (int h = 0; h < _heads; h++) Rotate(q[t].AsSpan(h * _size, _size), t);
            for (int h = 0; h < _groups; h++) Rotate(k[t].AsSpan(h * _size, _size), t);
        }

        double factor = 1 / Math.Sqrt(IsGemma && _type != "gemma" ? Number("query_pre_attn_scalar") ?? 256 : _size);
        // Gemma3Attention.forward passes no softcap, whatever config.json says.
        double cap = _type != "gemma2" ? 0 : _config.ContainsKey("attn_logit_softcapping") ? Number("attn_logit_softcapping") ?? 0 : 50;
        int window = IsSliding(layer) ? Window() : int.MaxValue;
        double[][] mixed = [.. x.Select(_ => new double[_heads * _size])];
        for (int t = 0; t < x.Length; t++)
        {
            for (int h = 0; h < _heads; h++)
            {
                int group = h / (_heads / _groups), first = window > t ? 0 : t - window + 1;
                double[] scores = [.. Enumerable.Range(first, t - first + 1).Select(s =>
                {
                    double score = 0;
                    for (int d = 0; d < _size; d++) score += q[t][(h * _size) + d] * k[s][(group * _size) + d];
                    score *= factor;
                    return cap > 0 ? cap * Math.Tanh(score / cap) : score;
                })];
                double largest = scores.Max(), sum = scores.Sum(score => Math.Exp(score - largest));
                for (int s = 0; s < scores.Length; s++)
                    for (int d = 0; d < _size; d++)
                        mixed[t][(h * _size) + d] += Math.Exp(scores[s] - largest) / sum * v[first + s][(group * _size) + d];
            }
        }

        return [.. mixed.Select(row => Linear(row, at + (_type == "internlm2" ? "attention.wo" : "self_attn.o_proj")))];

        void Rotate(Span<double> head, int position)
        {
            // cos and sin are as wide as the rotated part of a head; the rest passes (apply_rotary_pos_emb of modeling_phi3.py).
            int half = frequencies.Length;
            for (int i = 0; i < half; i++)
            {
                double cos = Math.Cos(position * frequencies[i]) * magnitude, sin = Math.Sin(position * frequencies[i]) * magnitude;
                (head[i], head[i + half]) = ((head[i] * cos) - (head[i + half] * sin), (head[i + half] * cos) + (head[i] * sin));
            }
        }
    }

    private (double[][] Q, double[][] K, double[][] V) Projections(string at, double[][] x)
    {
        if (_type == "phi3")
        {
            // op_size = num_heads * head_dim + 2 * (num_key_value_heads * head_dim): queries, keys, values.
            double[][] qkv = [.. x.Select(row => Linear(row, at + "self_attn.qkv_proj"))];
            int query = _heads * _size, key = _groups * _size;
            return ([.. qkv.Select(row => row[..query])], [.. qkv.Select(row => row[query..(query + key)])], [.. qkv.Select(row => row[(query + key)..])]);
        }

        if (_type != "internlm2")
        {
            double[][] q = [.. x.Select(row => Linear(row, at + "self_attn.q_proj"))], k = [.. x.Select(row => Linear(row, at + "self_attn.k_proj"))];
            if (_tensors.ContainsKey(at + "self_attn.q_norm.weight"))
            {
                q = [.. q.Select(row => HeadNorm(row, at + "self_attn.q_norm"))];
                k = [.. k.Select(row => HeadNorm(row, at + "self_attn.k_norm"))];
            }

            return (q, k, [.. x.Select(row => Linear(row, at + "self_attn.v_proj"))]);
        }

        // rearrange(qkv, "b q (h gs d) -> b q h gs d", gs = 2 + groups, d = head_dim)
        int share = _heads / _groups;
        double[][] all = [.. x.Select(row => Linear(row, at + "attention.wqkv"))];
        return (Part(0, share), Part(share, 1), Part(share + 1, 1));

        double[][] Part(int first, int count) =>
            [.. all.Select(row => Enumerable.Range(0, _groups).SelectMany(g => row.Skip(((g * (share + 2)) + first) * _size).Take(count * _size)).ToArray())];
    }

    /// <summary>OLMo 2 norms before view(hidden_shape) makes heads.</summary>
    private double[] HeadNorm(double[] row, string name) => _type == "olmo2" ? Norm(row, name) : [.. row.Chunk(_size).SelectMany(head => Norm(head, name))];

    private double[] FeedForward(double[] x, string at)
    {
        (string gate, string up, string down) = _type == "internlm2"
            ? ("feed_forward.w1", "feed_forward.w3", "feed_forward.w2") : ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj");
        double[] both = _type == "phi3" ? Linear(x, at + "mlp.gate_up_proj") : [.. Linear(x, at + gate), .. Linear(x, at + up)];
        double[] g = both[..(both.Length / 2)], u = both[(both.Length / 2)..];
        for (int i = 0; i < g.Length; i++) g[i] = u[i] * Activate(g[i]);
        return Linear(g, at + down);
    }

    /// <summary>
    /// ACT2FN. Gemma 2 and 3 read hidden_activation alone; Gemma 1 hidden_act since 4.48, before it hidden_activation; others hidden_act.
    /// </summary>
    private double Activate(double x)
    {
        string? version = (string?)_config["transformers_version"];
        bool isNew = version is not null && string.CompareOrdinal(version, "4.48") >= 0;
        string name = (string?)_config[IsGemma && !(_type == "gemma" && isNew) ? "hidden_activation" : "hidden_act"] ?? (IsGemma ? "gelu_pytorch_tanh" : "silu");
        return name switch
        {
            "silu" or "swish" => x / (1 + Math.Exp(-x)),
            "gelu_fast" => 0.5 * x * (1 + Math.Tanh(x * 0.7978845608 * (1 + (0.044715 * x * x)))),
            "gelu_pytorch_tanh" or "gelu_new" or "gelu_python_tanh" or "gelu_accurate" => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))),
            _ => throw new ArgumentException(name),
        };
    }

    private double[] Norm(double[] x, string name)
    {
        double factor = 1 / Math.Sqrt(x.Average(value => value * value) + _epsilon);
        float[] weight = _tensors[name + ".weight"].Values;
        return [.. x.Select((value, i) => value * factor * (IsGemma ? 1.0 + weight[i] : weight[i]))];
    }

    private int Window() => _config.ContainsKey("sliding_window") ? Integer("sliding_window") ?? int.MaxValue : _type == "phi3" ? int.MaxValue : 4096;

    private bool IsSliding(int layer) => _type switch
    {
        _ when _config["layer_types"] is JsonArray types => (string)types[layer]! == "sliding_attention",
        "mistral" or "phi3" => true,
        "gemma2" => layer % 2 == 0,
        "gemma3_text" => (layer + 1) % (Integer("sliding_window_pattern") ?? 6) != 0,
        "qwen2" or "qwen3" => (bool?)_config["use_sliding_window"] == true && layer >= (Integer("max_window_layers") ?? 28),
        _ => false,
    };

    /// <summary>The inverse frequencies and the attention factor of transformers' ROPE_INIT_FUNCTIONS.</summary>
    private (double[] Frequencies, double Magnitude) Rope(bool isSliding)
    {
        JsonObject? parameters = _config["rope_scaling"] as JsonObject ?? _config["rope_parameters"] as JsonObject;
        double theta = Number("rope_theta") ?? (_type == "gemma3_text" ? 1e6 : 1e4);
        if (_type == "gemma3_text")
        {
            JsonObject? own = parameters?[isSliding ? "sliding_attention" : "full_attention"] as JsonObject;
            if (isSliding) theta = Number("rope_local_base_freq") ?? 1e4;
            parameters = own ?? (isSliding || parameters?.ContainsKey("full_attention") == true ? null : parameters);
        }

        theta = (double?)parameters?["rope_theta"] ?? theta;
        int rotated = (int)(_size * ((double?)parameters?["partial_rotary_factor"] ?? Number("partial_rotary_factor") ?? 1));
        double[] plain = [.. Enumerable.Range(0, rotated / 2).Select(i => 1 / Math.Pow(theta, 2.0 * i / rotated))];
        string type = (string?)parameters?["rope_type"] ?? (string?)parameters?["type"] ?? "default";
        if (_type == "phi3" && type is "su" or "yarn") type = "longrope";
        double factor = (double?)parameters?["factor"] ?? 1;
        int positions = Integer("max_position_embeddings") ?? 2048, original = (int?)parameters?["original_max_position_embeddings"] ?? positions;
        switch (type)
        {
            case "linear":
                return ([.. plain.Select(f => f / factor)], 1);
            case "llama3":
                double low = (double)parameters!["low_freq_factor"]!, high = (double)parameters["high_freq_factor"]!;
                return ([.. plain.Select(f =>
                {
                    double length = 2 * Math.PI / f, smooth = ((original / length) - low) / (high - low);
                    return length < original / high ? f : length > original / low ? f / factor : ((1 - smooth) * f / factor) + (smooth * f);
                })], 1);
            case "yarn":
                double fast = (double?)parameters!["beta_fast"] ?? 32, slow = (double?)parameters["beta_slow"] ?? 1;
                double from = Math.Max(0, Math.Floor(Dimension(fast))), to = Math.Min(_size - 1, Math.Ceiling(Dimension(slow)));
                double magnitude = (double?)parameters["attention_factor"] ?? (factor <= 1 ? 1 : (0.1 * Math.Log(factor)) + 1);
                return ([.. plain.Select((f, i) =>
                {
                    double ramp = Math.Clamp((i - from) / (to == from ? 0.001 : to - from), 0, 1);
                    return (f / factor * ramp) + (f * (1 - ramp));
                })], magnitude);

                double Dimension(double rotations) => _size * Math.Log(original / (rotations * 2 * Math.PI)) / (2 * Math.Log(theta));
            case "longrope":
                // Phi3Config has the field itself, with a default, and standardize_rope_params prefers it to the one in the parameters.
                original = Integer("original_max_position_embeddings") ?? (_type == "phi3" ? 4096 : original);
                factor = (double?)parameters!["factor"] ?? ((double)positions / original);
                double scale = (double?)parameters["attention_factor"] ?? (factor <= 1 ? 1 : Math.Sqrt(1 + (Math.Log(factor) / Math.Log(original))));
                return ([.. plain.Select((f, i) => f / (double)parameters["short_factor"]![i]!)], scale);
            default: // "default", and "dynamic" up to its length
                return (plain, 1);
        }
    }

    private int? Integer(string name) => (int?)_config[name];

    private double? Number(string name) => (double?)_config[name];

    private static double[] Row(OtherHead.Tensor matrix, int row)
    {
        int columns = matrix.Shape[1];
        return [.. matrix.Values.AsSpan(row * columns, columns).ToArray().Select(value => (double)value)];
    }

    private static double Dot(double[] a, double[] b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++) sum += a[i] * b[i];
        return sum;
    }

    private static void Add(double[][] x, double[][] y)
    {
        for (int t = 0; t < x.Length; t++)
            for (int i = 0; i < x[t].Length; i++) x[t][i] += y[t][i];
    }
}
