using System.Globalization;

namespace LdlVk.DirectML.Interop;

/// <summary>HRESULTs of Direct3D 12 and DirectML, and what they mean to a user.</summary>
internal static class HResult
{
    public const int DeviceRemoved = unchecked((int)0x887A0005);
    public const int DeviceHung = unchecked((int)0x887A0006);
    public const int DeviceReset = unchecked((int)0x887A0007);
    public const int DriverInternalError = unchecked((int)0x887A0020);
    public const int InvalidCall = unchecked((int)0x887A0001);
    public const int NotFound = unchecked((int)0x887A0002);
    public const int Unsupported = unchecked((int)0x887A0004);
    public const int OutOfMemory = unchecked((int)0x8007000E);
    public const int InvalidArgument = unchecked((int)0x80070057);

    /// <summary>Turns a failed call into a <see cref="DeviceException"/> that says the call, its meaning and the way out.</summary>
    /// <param name="result">The HRESULT of the call.</param>
    /// <param name="call">The call.</param>
    /// <param name="removedReason">Why the device was removed, where it was and that is known.</param>
    public static void Check(this int result, string call, int removedReason = 0)
    {
        if (result >= 0) return;
        string why = removedReason < 0 && removedReason != result ? $" (reason: {Name(removedReason)})" : "";
        throw new DeviceException($"{call} failed with {Name(result)}{why}: {Meaning(result)}", failure: Kind(result));
    }

    public static bool IsLost(int result) => result is DeviceRemoved or DeviceHung or DeviceReset or DriverInternalError;

    private static DeviceFailure Kind(int result) =>
        IsLost(result) ? DeviceFailure.Lost : result == OutOfMemory ? DeviceFailure.OutOfMemory : DeviceFailure.Other;

    private static OptionName Other => OptionName.Device.Of("vulkan:0");

    private static string Name(int result) => result switch
    {
        DeviceRemoved => "DXGI_ERROR_DEVICE_REMOVED",
        DeviceHung => "DXGI_ERROR_DEVICE_HUNG",
        DeviceReset => "DXGI_ERROR_DEVICE_RESET",
        DriverInternalError => "DXGI_ERROR_DRIVER_INTERNAL_ERROR",
        InvalidCall => "DXGI_ERROR_INVALID_CALL",
        NotFound => "DXGI_ERROR_NOT_FOUND",
        Unsupported => "DXGI_ERROR_UNSUPPORTED",
        OutOfMemory => "E_OUTOFMEMORY",
        InvalidArgument => "E_INVALIDARG",
        _ => string.Create(CultureInfo.InvariantCulture, $"0x{result:X8}"),
    };

    private static Notice Meaning(int result) => result switch
    {
        DeviceRemoved or DeviceReset or DriverInternalError =>
            (Notice)$"the GPU was lost (a driver reset, a crash or a driver update). Run again; if it returns, update the driver or use "
                + $"{Other}.",
        DeviceHung =>
            $"the GPU did not finish in time and Windows reset it. Run again with a smaller {OptionName.BatchTokens}; if it returns, use "
                + $"{Other}.",
        OutOfMemory => $"out of device memory. Use smaller weights ({OptionName.Weights.Of("int8 or int4")}), a smaller "
            + $"{OptionName.BatchTokens}, or another device ({OptionName.Device.Of("vulkan:0, cpu")}).",
        Unsupported => $"the adapter or its driver does not have a feature that is needed. Update the driver or use {Other}.",
        InvalidArgument => $"the driver or DirectML.dll refused the arguments. Update both, or use {Other}.",
        _ => $"see the driver's and DirectML's documentation, or use {Other}.",
    };
}
