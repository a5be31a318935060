using System.Globalization;

namespace LdlVk.Benchmarking;

/// <summary>Formats times and rates with about three digits, in a suitable unit.</summary>
public static class Rates
{
    /// <summary>Operations per second, in GFLOP/s or TFLOP/s.</summary>
    public static string Operations(double perSecond) =>
        perSecond >= 1e12 ? Number($"{perSecond / 1e12:G3} TFLOP/s") : Number($"{perSecond / 1e9:G3} GFLOP/s");

    /// <summary>Bytes per second, in GB/s.</summary>
    public static string Bytes(double perSecond) => Number($"{perSecond / 1e9:G3} GB/s");

    /// <summary>A time in s, ms or µs.</summary>
    public static string Seconds(double seconds) => seconds switch
    {
        >= 1 => Number($"{seconds:F2} s"),
        >= 1e-3 => Number($"{seconds * 1e3:F2} ms"),
        _ => Number($"{seconds * 1e6:F1} µs"),
    };

    private static string Number(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
