using System.Runtime.InteropServices;
using LdlVk.Vulkan;
using Silk.NET.Vulkan;

namespace LdlVk.Testing;

/// <summary>What a driver does wrong with a kernel.</summary>
public enum KernelFault
{
    /// <summary>Differences where there should be sums.</summary>
    WrongSums,
    /// <summary>Zeros where there should be products.</summary>
    Zeros,
    /// <summary>Not-a-number, or 1, where there should be sums: x/x.</summary>
    NaN,
    /// <summary>Each invocation takes the place of another.</summary>
    WrongLanes,
    /// <summary>Nobody waits for what others write into shared memory.</summary>
    StaleSharedMemory,
}

/// <summary>A Vulkan loader whose driver compiles one kernel wrongly: the kernel's SPIR-V is changed on the way there.</summary>
/// <param name="kernel">The kernel's name.</param>
/// <param name="fault">What is wrong.</param>
public sealed unsafe class BrokenKernels(string kernel, KernelFault fault) : InterposedVulkan(["vkCreateShaderModule"])
{
    private readonly byte[] _code = CodeOf(kernel);

    /// <summary>The names of all kernels.</summary>
    public static IReadOnlyList<string> Names => typeof(VulkanBackend).Assembly.GetManifestResourceNames();

    /// <summary>How often the kernel was compiled.</summary>
    public int Compiled { get; private set; }

    /// <summary>Whether a kernel has anything that can be wrong in this way.</summary>
    public static bool CanHave(string kernel, KernelFault fault)
    {
        byte[] code = CodeOf(kernel);
        return Break(MemoryMarshal.Cast<byte, uint>(code.AsSpan()), fault) > 0;
    }

    protected override nint Answer(string name, Call real, nint a, nint b, nint c, nint d, nint e, nint f)
    {
        var create = (ShaderModuleCreateInfo*)b;
        if (!new ReadOnlySpan<byte>(create->PCode, (int)create->CodeSize).SequenceEqual(_code)) return real(a, b, c, d, e, f);
        Compiled++;
        byte[] broken = [.. _code];
        Break(MemoryMarshal.Cast<byte, uint>(broken.AsSpan()), fault);
        fixed (byte* code = broken)
        {
            ShaderModuleCreateInfo changed = *create;
            changed.PCode = (uint*)code;
            return real(a, (nint)(&changed), c, d, e, f);
        }
    }

    private static byte[] CodeOf(string kernel)
    {
        using Stream resource = typeof(VulkanBackend).Assembly.GetManifestResourceStream(kernel)!;
        byte[] code = new byte[resource.Length];
        resource.ReadExactly(code);
        return code;
    }

    /// <summary>Changes a module; returns the number of changes.</summary>
    private static int Break(Span<uint> module, KernelFault fault)
    {
        const uint Constant = 43, Load = 61, Decorate = 71, CopyObject = 83, FAdd = 129, FSub = 131, FMul = 133, FDiv = 136, Barrier = 224, MatrixMulAdd = 4459;
        const uint Nop = 1 << 16, BuiltIn = 11, WorkgroupId = 26, InvocationId = 27, GlobalInvocationId = 28, InvocationIndex = 29, SubgroupInvocation = 41;
        Dictionary<uint, uint> zeros = [];
        HashSet<uint> lanes = [];
        int changes = 0, length;
        for (int at = 5; at < module.Length; at += length)
        {
            length = (int)(module[at] >> 16);
            Span<uint> w = module.Slice(at, length);
            uint op = w[0] & 0xffff;
            if (op == Constant && w[3] == 0) zeros.TryAdd(w[1], w[2]);
            if (op == Decorate && w[2] == BuiltIn && w[3] is InvocationIndex or SubgroupInvocation) lanes.Add(w[1]);
            if (Change(w, op)) changes++;
        }

        return changes;

        bool Change(Span<uint> w, uint op)
        {
            switch (fault)
            {
                case KernelFault.WrongSums when op == FAdd: Become(w, FSub); return true;
                case KernelFault.NaN when op == FAdd: Become(w, FDiv); w[4] = w[3]; return true;
                case KernelFault.Zeros when op == FMul: Become(w, FSub); w[4] = w[3]; return true;
                case KernelFault.Zeros when op == MatrixMulAdd: Become(w[..4], CopyObject); w[3] = w[5]; w[4..].Fill(Nop); return true;
                case KernelFault.WrongLanes when op == Decorate && w[2] == BuiltIn && w[3] is InvocationId or GlobalInvocationId: w[3] = WorkgroupId; return true;
                case KernelFault.WrongLanes when op == Load && lanes.Contains(w[3]) && zeros.TryGetValue(w[1], out uint zero):
                    Become(w[..4], CopyObject);
                    w[3] = zero;
                    w[4..].Fill(Nop);
                    return true;
                case KernelFault.StaleSharedMemory when op == Barrier: w.Fill(Nop); return true;
                default: return false;
            }
        }

        static void Become(Span<uint> w, uint op) => w[0] = ((uint)w.Length << 16) | op;
    }
}
