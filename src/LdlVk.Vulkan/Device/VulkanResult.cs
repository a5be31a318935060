using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

internal static class VulkanResult
{
    /// <summary>Turns a failed call into a <see cref="DeviceException"/> that says the call, its meaning and the way out.</summary>
    public static void Check(this Result result, string call)
    {
        if (result < Result.Success) throw new DeviceException($"{call} failed: {Meaning(result)}", failure: Kind(result));
    }

    private static DeviceFailure Kind(Result result) => result switch
    {
        Result.ErrorDeviceLost => DeviceFailure.Lost,
        Result.ErrorOutOfDeviceMemory or Result.ErrorOutOfHostMemory => DeviceFailure.OutOfMemory,
        _ => DeviceFailure.Other,
    };

    private static Notice Meaning(Result result) => result switch
    {
        Result.ErrorDeviceLost => 
            (Notice)$"the GPU was lost (a driver reset, a crash or a timeout). Run again; if it returns, update the driver or lower "
                + $"{OptionName.BatchTokens}.",
        Result.ErrorOutOfDeviceMemory =>
            $"out of device memory. Use smaller weights ({OptionName.Weights.Of("int8 or int4")}), a smaller {OptionName.BatchTokens}, "
                + $"or another device.",
        Result.ErrorOutOfHostMemory => $"out of host memory. Close other programs or use a smaller {OptionName.BatchTokens}.",
        Result.ErrorInitializationFailed => "the driver could not be initialized. Check it with `vulkaninfo`.",
        Result.ErrorIncompatibleDriver => "the driver does not support the Vulkan version asked for. Update it.",
        _ => $"{result}.",
    };
}
