using LdlVk.Runtime.Batching;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>Texts beyond the sliding window, which the goldens do not reach.</summary>
public sealed class LongTextTests(ITestOutputHelper output) : DeviceTest
{
    /// <summary>The longest text there is, against the CPU device; a layer with a window and one without.</summary>
    [Fact]
    public void Long_texts_score_as_on_the_CPU()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("ldlvk-long");
        try
        {
            SyntheticCheckpoint.Write(folder.FullName, new SyntheticShape(64, 2, 1, 1, 32, 128, 512, 64));
            int[] ids = [.. Enumerable.Range(0, 8192).Select(i => i * 89 % 512)];
            MicroBatch batch = Packer.Pack([ids], 8192).Single();
            Reward? want = null;
            foreach (string id in TestDevices.ForModels.Where(id => !id.EndsWith(" tile", StringComparison.Ordinal)))
            {
                using var model = new Loaded(id, folder.FullName, WeightFormat.Fp16);
                Reward got = model.Engine.Score(batch)[0];
                want ??= got;
                output.WriteLine($"{id}: {got.Score}");
                // Matrix units round operands by 2⁻¹¹; four of those are room for two layers and the heads' sums.
                double off = 1e-4 + (4 * TestDevices.Get(id).OperandRounding(WeightFormat.Fp16));
                Assert.InRange(got.Score, want.Score - off, want.Score + off);
                for (int i = 0; i < got.Rewards.Length; i++) Assert.InRange(got.Rewards[i], want.Rewards[i] - off, want.Rewards[i] + off);
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
