using System.Collections.Concurrent;
using System.Globalization;
using LdlVk.Cpu;
using LdlVk.DirectML;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;
using Xunit;

namespace LdlVk.Testing;

/// <summary>A device that tests run on.</summary>
/// <param name="Id">Its name, as <c>cpu</c> or <c>vulkan:0</c>.</param>
/// <param name="OpenWithin">Opens it with a limit on its memory, or with none.</param>
/// <param name="HalvesOperands">Whether its Linear rounds operands to fp16, as matrix units do, unless the weights are fp32.</param>
public sealed record TestDevice(string Id, Func<long?, IDevice> OpenWithin, bool HalvesOperands = false)
{
    /// <summary>Opens it.</summary>
    public IDevice Open() => OpenWithin(null);

    /// <summary>Relative error of rounding an operand of Linear, for weights of a format; 0 where the contract's fp32 is kept.</summary>
    public double OperandRounding(WeightFormat format) => HalvesOperands && format != WeightFormat.Fp32 ? 1.0 / (1 << 11) : 0;
}

/// <summary>
/// The devices present on this machine. Tests share one open device of each; they are not thread-safe, so an assembly that uses them
/// turns parallel tests off.
/// </summary>
public static class TestDevices
{
    private static readonly ConcurrentDictionary<string, Lazy<IDevice>> Opened = new();

    private static readonly IReadOnlyList<TestDevice> Everything = [.. Found()];

    /// <summary>The software drivers but the fastest.</summary>
    private static readonly IReadOnlyList<string> OtherSoftware =
        [.. VulkanBackend.Enumerate().Where(device => device.Kind == DeviceKind.Software)
            .OrderBy(device => device.Name.StartsWith("llvmpipe", StringComparison.Ordinal)).Select(device => device.Id).SkipLast(1)];

    /// <summary>Every device present, the processor first; of those, where the variable LDLVK_TEST_DEVICES is set, the ones whose names begin as it says.</summary>
    public static IReadOnlyList<TestDevice> All => [.. Everything.Where(device => Wanted(device.Id))];

    /// <summary>
    /// Vulkan devices to which weights are copied as to graphics cards, though the host may see their memory: by the queue that computes, and by
    /// a stream of its own though the driver may offer no queue for copies.
    /// </summary>
    public static IReadOnlyList<TestDevice> Copying { get; } =
        [.. VulkanBackend.Enumerate().SelectMany((device, index) => new[]
        {
            new TestDevice($"{device.Id} chunks", limit => VulkanBackend.Open(index, null, UploadQueue.Computing, limit)),
            new TestDevice($"{device.Id} copies", limit => VulkanBackend.Open(index, null, UploadQueue.Separate, limit)),
        }).Where(device => Wanted(device.Id))];

    /// <summary>
    /// A software driver that is made to look like each of <see cref="DeviceProfile.All"/>, as far as it can be held to that; none where
    /// there is no software driver, or it is not wanted. Named <c>vulkan:0 as NAME</c>.
    /// </summary>
    public static IReadOnlyDictionary<string, ImposedVulkan> Imposed { get; } = VulkanBackend.Enumerate()
        .Where(device => device.Kind == DeviceKind.Software && Wanted(device.Id) && !OtherSoftware.Contains(device.Id))
        .SelectMany(device => DeviceProfile.All.Select(profile => ($"{device.Id} as {profile}", new ImposedVulkan([profile], Index(device)))))
        .ToDictionary();

    /// <summary>The ids of every device present, whatever the variable says.</summary>
    public static IEnumerable<string> Present => Everything.Select(device => device.Id);

    /// <summary>The ids, for a theory's data.</summary>
    public static IEnumerable<string> Ids => All.Select(device => device.Id);

    /// <summary>
    /// The ids for tests of whole models: of several software drivers one. A model is host code over ops, which the conformance tests hold to
    /// the reference on every driver; all of these tests on SwiftShader too, which is slow, took 12 of 24 minutes.
    /// </summary>
    public static IEnumerable<string> ForModels => Ids.Where(id => !OtherSoftware.Contains(id.Split(' ')[0]));

    /// <summary>The first Vulkan device for tests of whole models; skips the test where there is none.</summary>
    public static string VulkanForModels()
    {
        string? id = ForModels.FirstOrDefault(id => id.StartsWith("vulkan:", StringComparison.Ordinal) && !id.Contains(' '));
        if (id is null) Assert.Skip("There is no Vulkan driver.");
        return id;
    }

    /// <summary>The device of that name.</summary>
    public static TestDevice Get(string id) => Imposed.TryGetValue(id, out ImposedVulkan? imposed)
        ? new TestDevice(id, limit => VulkanBackend.Open(imposed.Load, 0, linear: null, cacheFolder: null, memoryLimit: limit))
        : Everything.Concat(Copying).FirstOrDefault(device => device.Id == id) ?? throw new ArgumentException($"No test device '{id}'; present are {string.Join(", ", Ids)}.");

    /// <summary>The device of that name, opened at the first call and shared by all tests of the process.</summary>
    public static IDevice Shared(string id) => Opened.GetOrAdd(id, _ => new Lazy<IDevice>(Get(id).Open)).Value;

    private static int Index(DeviceInfo device) => int.Parse(device.Id.AsSpan("vulkan:".Length), CultureInfo.InvariantCulture);

    private static bool Wanted(string id) => id.StartsWith(Environment.GetEnvironmentVariable("LDLVK_TEST_DEVICES") ?? "", StringComparison.Ordinal);

    private static IEnumerable<TestDevice> Found()
    {
        foreach (DeviceInfo device in CpuBackend.Enumerate()) yield return new TestDevice(device.Id, limit => CpuBackend.Open(device.Id, limit));

        foreach (DeviceInfo device in VulkanBackend.Enumerate())
        {
            int index = Index(device);
            bool software = device.Kind == DeviceKind.Software, matrix = device.Features.Any(feature => feature.StartsWith("matrix ", StringComparison.Ordinal));
            yield return new TestDevice(device.Id, limit => VulkanBackend.Open(index, memoryLimit: limit), HalvesOperands: matrix && !software);

            // Kernels that the device would not choose itself must not go untested where there is no other.
            if (matrix || software) yield return new TestDevice($"{device.Id} tile", limit => VulkanBackend.Open(index, LinearFamily.Tile, memoryLimit: limit));
            if (matrix && software) yield return new TestDevice($"{device.Id} matrix", limit => VulkanBackend.Open(index, LinearFamily.Matrix, memoryLimit: limit), HalvesOperands: true);
            if (device.Features.Any(feature => feature.StartsWith("flexible matrix ", StringComparison.Ordinal)))
                yield return new TestDevice($"{device.Id} matrix-nv", limit => VulkanBackend.Open(index, LinearFamily.MatrixNv, memoryLimit: limit), HalvesOperands: true);
        }

        int adapters = DirectMLBackend.Enumerate().Count;
        for (int i = 0; i < adapters; i++)
        {
            int index = i;
            yield return new TestDevice($"directml:{index}", limit => DirectMLBackend.Open(index, limit));
        }
    }
}
