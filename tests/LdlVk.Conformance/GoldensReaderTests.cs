using LdlVk.Testing;
using Xunit;

namespace LdlVk.Conformance;

/// <summary>The goldens' reader against what the goldens' README says of the files.</summary>
public sealed class GoldensReaderTests
{
    [Fact]
    public void Finds_all_cases()
    {
        Assert.Equal(7, Goldens.Cases.Count);
        Assert.Equal(["a_f32_sliding", "b_bf16_sharded", "c_bf16_outliers", "d_f16_gate_softmax", "e_bf16_batch"], Goldens.CasesOf("ldl"));
        Assert.Equal(["s_skywork_bf16"], Goldens.CasesOf("skywork"));
    }

    /// <summary>Left and right padding of the same texts leave the same ids, and the references agree but for rounding.</summary>
    [Theory]
    [InlineData("e_bf16_batch")]
    [InlineData("c_bf16_outliers")]
    public void Padding_is_stripped(string name)
    {
        GoldenCase golden = Goldens.Read(name);
        GoldenInput right = golden.Inputs.Single(i => i.Padding == "right"), left = golden.Inputs.Single(i => i.Padding == "left");
        for (int r = 0; r < right.Rows.Count; r++)
        {
            Assert.Equal(right.Rows[r].Ids, left.Rows[r].Ids);
            Assert.Equal(right.Rows[r].Reference.Score, left.Rows[r].Reference.Score, 1e-9);
        }
        Assert.True(right.Rows.Select(row => row.Ids.Length).Distinct().Count() > 1);
    }

    [Theory]
    [InlineData("a_f32_sliding", "pad_id_inside", 7)]
    [InlineData("a_f32_sliding", "pad_id_first", 14)]
    [InlineData("a_f32_sliding", "pad_id_last_unmasked", 12)]
    public void Texts_end_where_the_original_reads(string name, string input, int length) =>
        Assert.Equal(length, Assert.Single(Goldens.Read(name).Inputs.Single(i => i.Name == input).Rows).Ids.Length);

    [Theory]
    [InlineData("a_f32_sliding", "f64")]
    [InlineData("b_bf16_sharded", "f64_bf16norm")]
    [InlineData("c_bf16_outliers", "f64")]
    [InlineData("d_f16_gate_softmax", "f64")]
    public void Reference_is_the_mode_that_the_checkpoint_asks_for(string name, string mode)
    {
        foreach (GoldenRow row in Goldens.Read(name).Inputs.SelectMany(input => input.Rows))
        {
            Assert.Same(row.Modes[mode], row.Reference);
            Assert.Equal(22, row.Reference.Weights!.Length);
            Assert.Equal(10, row.Reference.Distribution!.Length);
            Assert.Equal(22, row.Modes["f64"].Rewards!.Length);
            Assert.True(row.Modes.ContainsKey("bf16") && row.Modes.ContainsKey("f32"));
        }
    }

    [Fact]
    public void Trace_holds_the_residual_stream()
    {
        Assert.True(Goldens.HasTrace("a_f32_sliding"));
        IReadOnlyDictionary<string, TraceTensor> trace = Goldens.ReadTrace("a_f32_sliding")["single_33"];
        Assert.Equal([33, 64], trace["residual.layer.0"].Shape);

        // The final norm of the last token is the hidden state of goldens.json.
        double[] hidden = Goldens.Read("a_f32_sliding").Inputs.Single(i => i.Name == "single_33").Rows[0].Modes["f64"].Hidden;
        double[] last = trace["final_norm"].Values[^64..];
        for (int i = 0; i < 64; i++) Assert.Equal(hidden[i], last[i], 1e-12);
    }
}
