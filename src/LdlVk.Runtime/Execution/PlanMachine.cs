namespace LdlVk.Runtime.Execution;

/// <summary>The devices of a request: their memory and, once measured, their speed.</summary>
internal sealed class PlanMachine(PlanRequest request)
{
    /// <summary>Parameters in the matrices of a layer.</summary>
    private readonly double _parameters = request.Config.HiddenSize
        * ((2.0 * request.Config.Heads * request.Config.HeadDimension)
            + (2.0 * request.Config.KeyValueHeads * request.Config.HeadDimension) + (3.0 * request.Config.IntermediateSize));

    private DeviceSpeed?[]? _speeds;

    public PlanRequest Request => request;

    public bool IsMeasured => _speeds is not null;

    /// <summary>
    /// Bytes that the plan may use on each device. Devices that are listed twice, or that use host memory, share it; a memory limit
    /// holds for each entry.
    /// </summary>
    public long[] Budgets { get; } = [.. request.Devices.Select((device, i) =>
    {
        int sharers = request.Devices.Count(d => d.Id == device.Id || (HasHostMemory(d) && HasHostMemory(device)));
        long usable = ModelMemory.UsableBytes(device) / sharers;
        return request.MemoryLimits.Count == 0 ? usable
            : Math.Min(usable, request.MemoryLimits[Math.Min(i, request.MemoryLimits.Count - 1)]);
    })];

    public void Measure() => _speeds ??= [.. request.Devices.Select(request.Speed)];

    /// <summary>
    /// Returns how many layers fit on each device at a time. The heads are on <paramref name="last"/>; later devices get none.
    /// </summary>
    public int[] Room(int batch, int wave, int last) =>
        [.. Budgets.Select((budget, d) =>
        {
            if (d > last) return 0;
            long others = request.Memory.TableBytes + (d == last ? request.Memory.HeadBytes : 0)
                + request.MemoryOn(d).ActivationBytes(batch, wave);
            return (int)Math.Clamp((budget - others - CachePlanner.Reserve(request)) / request.Memory.LayerBytes, 0, int.MaxValue);
        })];

    /// <summary>
    /// Returns the seconds in which a device computes a layer for so many tokens, and those in which it uploads a layer; null if its
    /// speed is unknown. Entries of the same device, and all devices that are the processor, share its speed.
    /// </summary>
    public StageTime? LayerTime(int device, int tokens)
    {
        if (_speeds?[device] is not { } speed) return null;
        DeviceInfo info = request.Devices[device];
        int sharers = request.Devices.Count(d => d.Id == info.Id || (d.IsProcessor && info.IsProcessor));
        return new StageTime(sharers * tokens * 2 * _parameters / speed.OperationsPerSecond,
            sharers * request.Memory.LayerBytes / speed.UploadBytesPerSecond);
    }

    private static bool HasHostMemory(DeviceInfo device) => device.Kind == DeviceKind.IntegratedGpu || device.IsProcessor;
}
