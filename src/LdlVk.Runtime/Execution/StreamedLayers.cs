using System.Diagnostics;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>
/// Layers that do not all fit on the device. Some stay; the matrices of the others take turns in a few slots of device memory, brought in
/// from host memory or mapped files one or two layers ahead, while the device computes with others. They are spread evenly among those
/// that stay, so that every upload has about as much computing to hide behind.
/// </summary>
/// <param name="device">The device.</param>
/// <param name="first">The first layer, counted in the model.</param>
/// <param name="norms">The norms of every layer; they are small, and stay.</param>
/// <param name="resident">The matrices of the layers that stay; null for those that do not.</param>
/// <param name="sources">Where the matrices of the others come from, in the order of <see cref="LayerMatrices.All"/>; null for those that
/// stay.</param>
/// <param name="slots">The memory they take turns in.</param>
/// <param name="timeline">Told of each layer brought in.</param>
internal sealed class StreamedLayers(
    IDevice device, int first, LayerNorms[] norms, LayerMatrices?[] resident, IReadOnlyList<IWeightSource>?[] sources,
    LayerMatrices[] slots, ITimeline? timeline)
    : ILayerWeights
{
    private const int Nothing = -1;

    /// <summary>The layer whose matrices each slot has.</summary>
    private readonly int[] _held = [.. slots.Select(_ => Nothing)];

    public int First => first;

    public int End => first + norms.Length;

    /// <summary>
    /// Whether layer <paramref name="index"/> of <paramref name="layers"/> is one of <paramref name="streamed"/> that do not stay.
    /// </summary>
    public static bool IsStreamed(int index, int layers, int streamed) =>
        (long)(index + 1) * streamed / layers > (long)index * streamed / layers;

    public IEnumerable<DecoderLayer> InOrder()
    {
        for (int i = 0; i < norms.Length; i++)
        {
            yield return new DecoderLayer(first + i, Matrices(i), norms[i]);
            if (resident[i] is null) Reuse(i);
        }
    }

    /// <summary>The matrices of a layer, which are on the device already unless a wave before was cut short.</summary>
    private LayerMatrices Matrices(int index)
    {
        if (resident[index] is { } stays) return stays;
        int slot = Array.IndexOf(_held, index);
        if (slot < 0)
        {
            // The first wave, or the one after a wave that did not come to its end.
            Array.Fill(_held, Nothing);
            Fill(slot = 0, index);
        }

        return slots[slot];
    }

    /// <summary>Fills the empty slots and that of a layer whose ops have all been queued, with the layers that come next.</summary>
    private void Reuse(int index)
    {
        int done = Array.IndexOf(_held, index);
        // Empty slots first: they need not wait until the device is done with this layer.
        for (int slot = 0; slot < slots.Length; slot++)
            if (_held[slot] == Nothing) FillNext(slot, index);
        FillNext(done, index);
    }

    /// <summary>Brings in the next layer that is not there; over the end, for the next wave begins where this one did.</summary>
    private void FillNext(int slot, int after)
    {
        for (int i = 1; i < norms.Length; i++)
        {
            int next = (after + i) % norms.Length;
            if (resident[next] is not null || _held.Contains(next)) continue;
            Fill(slot, next);
            return;
        }
    }

    private void Fill(int slot, int index)
    {
        long begin = Stopwatch.GetTimestamp();
        _held[slot] = Nothing;
        for (int i = 0; i < slots[slot].All.Count; i++) device.Fill(slots[slot].All[i], sources[index]![i]);
        _held[slot] = index;
        timeline?.Add(new TimelineSpan($"{device.Info.Id} ({device.Info.Name}; weights of layers {first} to {End - 1})",
            $"layer {first + index}", begin, Stopwatch.GetTimestamp()));
    }
}
