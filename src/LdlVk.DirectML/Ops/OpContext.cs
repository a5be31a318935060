using LdlVk.DirectML.Commands;
using LdlVk.DirectML.Graphs;
using LdlVk.DirectML.Memory;

namespace LdlVk.DirectML.Ops;

/// <summary>What every op needs of its device: the command stream, compiled graphs, scratch memory and constants.</summary>
internal sealed class OpContext(CommandStream stream, GraphCache graphs, ScratchMemory scratch, Constants constants)
{
    /// <summary>Records a graph on its operands.</summary>
    public void Dispatch(CompiledGraph graph, ReadOnlySpan<Region> inputs, ReadOnlySpan<Region> outputs) =>
        stream.Dispatch(graph, inputs, outputs);

    /// <summary>
    /// The compiled graph of that name (<see cref="GraphCache.Key"/>); <paramref name="write"/> is called at the first use.
    /// </summary>
    public CompiledGraph Graph(string name, Action<GraphBuilder> write) => graphs.Get(name, write);

    /// <summary>Scratch memory of at least a size, with undefined content.</summary>
    public Region Temporary(Scratch purpose, ulong bytes) => scratch.Take(purpose, bytes);

    /// <summary>Values in device memory; <paramref name="values"/> is called at the first use of the name.</summary>
    public Region Constant<T>(string name, Func<T[]> values)
        where T : unmanaged => constants.Get(name, values);

    /// <summary>Sets bytes to zero.</summary>
    public void Clear(Region region) => constants.Clear(region);

    /// <summary>Copies bytes within the device's memory.</summary>
    public void Copy(Region target, Region source) => stream.Copy(target, source);

    /// <summary>Fills the target with the first bytes of the source.</summary>
    public void CopyRows(Region target, Region source) => stream.Copy(target, source with { Bytes = target.Bytes });
}
