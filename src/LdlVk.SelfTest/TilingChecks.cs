using LdlVk.Runtime.Devices;

namespace LdlVk.SelfTest;

/// <summary>The tilings that a device may choose among: all must give the bits of the first.</summary>
internal static class TilingChecks
{
    /// <summary>Tilings of a product that a quick run compares; all of them would have to be compiled.</summary>
    private const int Quick = 2;

    /// <summary>The checks of a device; none for a device that has one way of doing a product.</summary>
    public static IEnumerable<OpCheck> For(IDevice device, bool quick)
    {
        if (device is not ITunableDevice tunable) yield break;
        SumFormat[] sums = device.Info.SumsHalves && !quick ? [SumFormat.Fp32, SumFormat.Fp16] : [SumFormat.Fp32];
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            foreach ((bool gated, SumFormat sum) in from gated in (bool[])[false, true] from sum in sums select (gated, sum))
            {
                if (sum == SumFormat.Fp16 && format == WeightFormat.Fp32) continue;
                LinearProduct product = new(format, gated, 200, 161, 150, sum);
                string[] tilings = [.. tunable.Tilings(product)];
                if (quick) tilings = [.. tilings.Take(Quick)];
                if (tilings.Length < 2) continue;
                yield return new OpCheck(gated ? nameof(IDevice.GatedLinear) : nameof(IDevice.Linear),
                    $"{format.ToString().ToLowerInvariant()}{(sum == SumFormat.Fp16 ? ", fp16 sums" : "")}, {tilings.Length} tilings",
                    o => Compare(o, tunable, product, tilings));
            }
        }
    }

    private static (double, string?) Compare(Operands o, ITunableDevice tunable, LinearProduct product, string[] tilings)
    {
        Random random = new(11);
        IWeight weight = o.Upload(TestWeight.Random(random, product.OutputFeatures, product.InputFeatures, product.Format));
        ITensor input = o.Upload(Matrix.Random(random, product.Rows, product.InputFeatures));
        Matrix? first = null;
        foreach (string tiling in tilings)
        {
            ITensor output = o.Empty(product.Rows, product.OutputFeatures), scratch = o.Empty(product.Rows, product.OutputFeatures);
            using (tunable.Use(tiling))
            {
                if (product.Gated) o.Device.GatedLinear(output, scratch, input, weight, weight, GateActivation.Gelu, product.Sums);
                else o.Device.Linear(output, input, weight, sums: product.Sums);
            }

            Matrix got = o.Read(output);
            if (first is not null && ErrorBounds.SameBits(got, first) is { } fault) return (0, $"{tiling} beside {tilings[0]}: {fault}");
            first ??= got;
        }

        return (0, null);
    }
}
