using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>
/// Heads that read several rows of a text: the bits are those of the text alone, whatever the batch, with prefixes shared or kept from
/// micro-batch to micro-batch, with layers streamed and divided over devices.
/// </summary>
[Trait("Wine", "DirectML")]
public sealed class ReadRowsTests : DeviceTest
{
    public static TheoryData<string, string, WeightFormat> Cases
    {
        get
        {
            TheoryData<string, string, WeightFormat> data = [];
            foreach (string device in TestDevices.ForModels.Where(id => !id.EndsWith(" tile", StringComparison.Ordinal)))
            {
                data.Add(device, "armorm_llama", WeightFormat.Fp32);
                data.Add(device, "qrm_gemma2", WeightFormat.Int8);
                data.Add(device, "urm_llama", WeightFormat.Fp16);
                data.Add(device, "qwen2_prm", WeightFormat.Fp32);
                data.Add(device, "skywork_o1_prm", WeightFormat.Int8);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Gates_and_steps_do_not_depend_on_the_batch(string device, string name, WeightFormat format)
    {
        GoldenCase golden = FamilyGoldens.Read(name);
        using Checkpoint checkpoint = Checkpoint.Open(golden.Folder);
        int count = checkpoint.Config.Layers;
        PackedText[] texts = Texts(checkpoint);
        using IDevice first = TestDevices.Get(device).Open(), second = TestDevices.Get(device).Open();
        var settings = new LoadSettings(format);
        uint[][] want;
        using (ScoringEngine whole = ScoringEngine.Load(first, checkpoint, settings))
        {
            want = [.. texts.Select(text => Bits(whole.Score(Packer.Pack([text], 4096).Single())[0]))];
            foreach ((int batch, int wave, bool share) in ((int, int, bool)[])[(4096, 4096, true), (4096, 4096, false), (40, 40, true), (40, 400, true), (30, 4096, true)])
                Assert.Equal(want, Scores(whole, texts, batch, wave, share));
        }

        StageLayers[][] divisions =
        [
            [new StageLayers(0, count, Streamed: count, Slots: 1)],
            [new StageLayers(0, 1), new StageLayers(1, count - 1)],
            [new StageLayers(0, 1, Streamed: 1, Slots: 1), new StageLayers(1, count - 1, Streamed: 1, Slots: 1)],
        ];
        foreach (StageLayers[] division in divisions)
        {
            using ScoringEngine divided = ScoringEngine.Load(
                [.. division.Select((layers, i) => new PlacedStage(i == 0 ? first : second, layers))], checkpoint, settings);
            Assert.Equal(want, Scores(divided, texts, 40, 400, share: true));
        }
    }

    [Theory]
    [InlineData("armorm_llama")]
    [InlineData("qrm_gemma2")]
    [InlineData("urm_llama")]
    [InlineData("skywork_o1_prm")]
    public void A_gate_in_a_shared_prompt_is_read_once(string name)
    {
        using Checkpoint checkpoint = Checkpoint.Open(FamilyGoldens.Read(name).Folder);
        PackedText[] texts = Texts(checkpoint);
        // Three prompts, each with its gate, or with its first step; every text has its score.
        int gates = checkpoint.Head.GatePattern.Count > 0 || checkpoint.Head.StepMarks != StepMarks.None ? 3 : 0;
        Assert.Equal(texts.Length + gates, Packer.Pack(texts, 4096).Sum(batch => batch.ReadRows.Length));
        // A prefix that is kept from micro-batch to micro-batch keeps its gate too.
        Wave[] waves = [.. Packer.PackWaves(texts, 40, 4096)];
        Assert.Contains(waves.SelectMany(wave => wave.Batches), batch => batch.KeptRows > 0);
        if (gates > 0) Assert.Contains(waves.SelectMany(wave => wave.Batches).SelectMany(batch => batch.Reads), reads => reads[0].BatchesBack > 0);
    }

    /// <summary>Three prompts that end with the gate's pattern, with some responses each.</summary>
    private static PackedText[] Texts(Checkpoint checkpoint)
    {
        int[] pattern = [.. checkpoint.Head.GatePattern];
        List<PackedText> texts = [];
        foreach (int prompt in (int[])[0, 1, 2])
        {
            int[] beginning = [.. Enumerable.Range(10 + (20 * prompt), 9 + (6 * prompt)), .. pattern];
            for (int i = 0; i < 7; i++)
            {
                int[] ids = [.. beginning, .. Enumerable.Range(100 + i, 5 + (3 * (i % 3)))];
                int[]? steps = checkpoint.Head.StepMarks == StepMarks.None ? null : [beginning.Length - 2, ids.Length - 1];
                texts.Add(new PackedText(ids, checkpoint.ReadPositions(ids, steps)));
            }
        }

        return [.. texts];
    }

    private static uint[][] Scores(ScoringEngine engine, PackedText[] texts, int batchTokens, int waveTokens, bool share)
    {
        uint[][] scores = new uint[texts.Length][];
        foreach (Wave wave in Packer.PackWaves(texts, batchTokens, waveTokens, share))
        {
            Reward[] rewards = engine.Score(wave);
            int[] numbers = [.. wave.Texts];
            for (int i = 0; i < rewards.Length; i++) scores[numbers[i]] = Bits(rewards[i]);
        }

        return scores;
    }

    private static uint[] Bits(Reward reward) =>
        [.. new[] { reward.Score }.Concat(reward.Weights).Concat(reward.AttributeScores).Concat(reward.AdjustedScores).Concat(reward.Quantiles).Concat(reward.Steps)
            .Select(BitConverter.SingleToUInt32Bits)];
}
