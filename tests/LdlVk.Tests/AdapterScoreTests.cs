using System.Text.Json.Nodes;
using LdlVk.Runtime.Batching;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>Scores with an adapter of DoRA over matrices and the embedding table, against <see cref="Forward64"/> over PEFT's merge.</summary>
public sealed class AdapterScoreTests : DeviceTest
{
    private const int Rank = 2, Hidden = 40;
    private const double Scale = 3.0 / Rank;

    [Theory]
    [InlineData("llama", false)]
    [InlineData("llama", true)]
    [InlineData("gemma2", true)]
    public void Merged_weights_score_as_PEFT_merges_them(string type, bool isDora)
    {
        JsonObject config = FamilyVariantTests.Config(type, "{'pad_token_id':null}");
        List<OtherHead.Tensor> tensors = MadeFamily.Backbone(config, 12, 2), adapter = [];
        OtherHead.Tensor head = MadeFamily.Head("score.weight", 1, Hidden);
        using TempFolder temp = new();
        MadeFamily.Write(temp["base"], config, [.. tensors, head]);
        List<OtherHead.Tensor> merged = [.. tensors.Select(Merge)];
        Directory.CreateDirectory(temp["adapter"]);
        temp.Write("adapter/adapter_config.json", new JsonObject
        {
            ["peft_type"] = "LORA", ["r"] = Rank, ["lora_alpha"] = 3, ["use_dora"] = isDora, ["target_modules"] = new JsonArray("embed_tokens", "v_proj", "up_proj"),
        }.ToJsonString());
        temp.Write("adapter/adapter_model.safetensors", Fp32File.Of(adapter));

        int[] ids = [.. Enumerable.Range(0, 37).Select(i => 8 + (i * i * 5 % 80))];
        double Score(List<OtherHead.Tensor> of) => new Forward64(config, of).Hidden(ids)[^1].Zip(head.Values, (h, w) => h * w).Sum();
        double want = Score(merged);
        Assert.True(Math.Abs(want - Score(tensors)) > 0.05, $"the adapter moves the score by {want - Score(tensors):G3}");
        foreach (string device in TestDevices.Ids.Where(id => !id.Contains(' ', StringComparison.Ordinal)))
        {
            foreach ((WeightFormat format, double tolerance) in ((WeightFormat, double)[])[(WeightFormat.Fp32, 2e-4), (WeightFormat.Fp16, 0.03)])
            {
                using Loaded model = new(device, temp["base"], format, adapter: temp["adapter"]);
                Assert.Equal(want, model.Engine.Score(Packer.Pack([model.Text(ids)], 4096).Single())[0].Score, tolerance);
            }
        }

        OtherHead.Tensor Merge(OtherHead.Tensor tensor)
        {
            bool isTable = tensor.Name.Contains("embed_tokens", StringComparison.Ordinal);
            if (!isTable && !tensor.Name.Contains("v_proj", StringComparison.Ordinal) && !tensor.Name.Contains("up_proj", StringComparison.Ordinal)) return tensor;
            (int rows, int columns) = (tensor.Shape[0], tensor.Shape[1]);
            string module = $"base_model.model.{tensor.Name[..^".weight".Length]}.";
            float[] a = Add(isTable ? "lora_embedding_A" : "lora_A.weight", Rank, isTable ? rows : columns), b = Add(isTable ? "lora_embedding_B" : "lora_B.weight", isTable ? columns : rows, Rank);
            double[] values = [.. tensor.Values.Select((value, i) =>
            {
                (int row, int column) = Math.DivRem(i, columns);
                (int ofA, int ofB, int width) = isTable ? (row, column, rows) : (column, row, columns);
                return value + (Scale * Enumerable.Range(0, Rank).Sum(k => (double)b[(ofB * Rank) + k] * a[(k * width) + ofA]));
            })];
            if (isDora)
            {
                // Rows of a linear layer's matrix, columns of the table.
                float[] magnitudes = Add("lora_magnitude_vector", isTable ? columns : rows);
                double[] norms = [.. magnitudes.Select((_, n) => Math.Sqrt(values.Where((_, i) => (isTable ? i % columns : i / columns) == n).Sum(value => value * value)))];
                for (int i = 0; i < values.Length; i++) values[i] *= magnitudes[isTable ? i % columns : i / columns] / norms[isTable ? i % columns : i / columns];
            }

            return tensor with { Values = [.. values.Select(value => (float)value)] };

            float[] Add(string name, params int[] shape)
            {
                int seed = adapter.Count;
                float middle = shape.Length == 1 ? 1.5f : 0;
                OtherHead.Tensor added = new(module + name, shape, [.. Enumerable.Range(0, shape.Aggregate((x, y) => x * y)).Select(i => middle + (0.4f * MathF.Sin((i * 1.3f) + seed)))]);
                adapter.Add(added);
                return added.Values;
            }
        }
    }
}
