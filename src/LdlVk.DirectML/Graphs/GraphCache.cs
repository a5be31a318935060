using System.Globalization;
using System.Text;
using LdlVk.DirectML.Commands;
using LdlVk.DirectML.Interop;
using LdlVk.DirectML.Memory;

namespace LdlVk.DirectML.Graphs;

/// <summary>
/// The compiled graphs of a device, kept until it is closed. An op with weights needs one for each shape of a weight (two where the last
/// panel of rows is smaller), attention one for each of its layer types and each number of keys that a tile is given (14 up to 8192
/// positions): some 60 in all for Gemma-2 27B, whatever the texts are.
/// </summary>
internal sealed class GraphCache(DmlDevice dml, CommandStream stream, GpuMemory memory) : IDisposable
{
    private readonly Dictionary<string, CompiledGraph> _graphs = [];
    private readonly bool _packedProducts = CompilesPackedProducts(dml);

    /// <summary>The compiled graph of that name; <paramref name="write"/> is called at the first use.</summary>
    /// <param name="name">A <see cref="Key"/> of all that the graph is compiled for.</param>
    /// <param name="write">Writes the graph.</param>
    public CompiledGraph Get(string name, Action<GraphBuilder> write)
    {
        if (_graphs.TryGetValue(name, out CompiledGraph? known)) return known;
        using GraphBuilder builder = new(dml, _packedProducts);
        write(builder);
        CompiledGraph graph = builder.Compile(name);
        try
        {
            stream.Initialize(graph);
            _graphs.Add(name, graph);
            return graph;
        }
        catch
        {
            if (graph.Persistent is { } kept) memory.Free(kept);
            graph.Dispose();
            throw;
        }
    }

    /// <summary>A name made of an op and all that its graph is compiled for.</summary>
    public static string Key(string op, params ReadOnlySpan<object> parts)
    {
        StringBuilder key = new(op);
        foreach (object part in parts) key.Append(' ').Append(Convert.ToString(part, CultureInfo.InvariantCulture));
        return key.ToString();
    }

    public void Dispose()
    {
        foreach (CompiledGraph graph in _graphs.Values) graph.Dispose();
    }

    private static bool CompilesPackedProducts(DmlDevice device)
    {
        using GraphBuilder builder = new(device, packedProducts: true);
        GraphValue x = builder.Input(TensorLayout.Matrix(4, 32, 32)), y = builder.Input(x.Layout);
        try
        {
            builder.Output(builder.Multiply(x, y));
            builder.Compile("a product").Dispose();
            return true;
        }
        catch (DeviceException e) when (e.Failure == DeviceFailure.Other)
        {
            return false;
        }
    }
}
