using LdlVk.Cpu.Memory;

namespace LdlVk.Cpu.Ops;

/// <summary>residual += RMSNorm(y): the loop of <see cref="RmsNormOp"/>, which adds.</summary>
internal static class NormAddOp
{
    public static void Run(Workers workers, CpuTensor residual, CpuTensor y, CpuTensor weight, float epsilon) =>
        RmsNormOp.Run(workers, residual, y, weight, epsilon, add: true);
}
