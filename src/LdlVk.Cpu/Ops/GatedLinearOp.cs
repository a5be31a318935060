using LdlVk.Cpu.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu.Ops;

/// <summary>output = activation(input·Wgᵀ) ⊙ (input·Wuᵀ): two Linear and a GateMultiply.</summary>
internal static class GatedLinearOp
{
    public static void Run(
        Workers workers, HostMemory memory, CpuTensor output, CpuTensor scratch, CpuTensor input, CpuWeight gate, CpuWeight up,
        GateActivation activation, SumFormat sums)
    {
        LinearOp.Run(workers, memory, output, input, gate, null, Activation.None, sums);
        LinearOp.Run(workers, memory, scratch, input, up, null, Activation.None, sums);
        GateMultiplyOp.Run(workers, output, output, scratch, activation);
    }
}
