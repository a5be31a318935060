using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>The rotary angles θ^(−2i/d)·p as cosines and sines, computed in double (Su et al. 2021, "RoFormer").</summary>
internal static class RopeTable
{
    /// <summary>The table [positions, head dimension] that <see cref="IDevice.Rope"/> takes.</summary>
    public static float[] Compute(int positions, int headDimension, double theta, RopeScaling? scaling = null)
    {
        int half = headDimension / 2;
        double[] frequencies =
            [.. Enumerable.Range(0, half).Select(i => Math.Pow(theta, -2.0 * i / headDimension)).Select(f => scaling?.Apply(f) ?? f)];
        float[] table = new float[positions * headDimension];
        for (int p = 0; p < positions; p++)
        {
            for (int i = 0; i < half; i++)
            {
                double angle = p * frequencies[i];
                table[(p * headDimension) + i] = (float)Math.Cos(angle);
                table[(p * headDimension) + half + i] = (float)Math.Sin(angle);
            }
        }

        return table;
    }
}
