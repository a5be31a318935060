using LdlVk.DirectML.Interop;
using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Graphs;

/// <summary>A compiled and initialized graph.</summary>
/// <param name="dispatchable">The compiled operator, owned.</param>
/// <param name="inputBytes">Bytes that each input takes.</param>
/// <param name="outputBytes">Bytes that each output takes.</param>
/// <param name="operations">Rough count of arithmetic operations, as a <see cref="SubmissionBudget"/> counts.</param>
internal sealed class CompiledGraph(DmlDispatchable dispatchable, ulong[] inputBytes, ulong[] outputBytes, double operations) : IDisposable
{
    public DmlDispatchable Dispatchable => dispatchable;

    public BindingProperties Properties { get; } = dispatchable.Properties;

    public double Operations => operations;

    public ulong[] InputBytes => inputBytes;

    public ulong[] OutputBytes => outputBytes;

    /// <summary>Memory that DirectML keeps from the initialization; null if none.</summary>
    public GpuBuffer? Persistent { get; set; }

    public void Dispose() => dispatchable.Dispose();
}
