namespace LdlVk.Runtime.Devices;

/// <summary>What a compute mode asks of a device.</summary>
internal static class ComputeModes
{
    /// <summary>What <see cref="IDevice.Linear"/> and <see cref="IDevice.GatedLinear"/> sum in.</summary>
    public static SumFormat Sums(this ComputeMode compute) => compute == ComputeMode.Fp16x ? SumFormat.Fp16 : SumFormat.Fp32;
}
