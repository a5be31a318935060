using LdlVk.Cpu.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu.Ops;

/// <summary>output = activation(input·Wgᵀ) ⊙ (input·Wuᵀ): two Linear and a GateMultiply.</summary>
internal static class GatedLinearOp
{
    public static void Run(
        Workers workers, CpuTensor output, CpuTensor scratch, CpuTensor input, CpuWeight gate, CpuWeight up, GateActivation activation)
    {
        LinearOp.Run(workers, output, input, gate, null, Activation.None);
        LinearOp.Run(workers, scratch, input, up, null, Activation.None);
        GateMultiplyOp.Run(workers, output, output, scratch, activation);
    }
}
