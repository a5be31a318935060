using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace LdlVk.Cli.Output;

/// <summary>
/// Enables escape sequences (colors, erasing a line) in the Windows console, which otherwise prints them as text.
/// </summary>
[SupportedOSPlatform("windows")]
internal static partial class WindowsConsole
{
    /// <summary>Arguments of GetStdHandle.</summary>
    internal const int StandardOutput = -11, StandardError = -12;

    private const uint VirtualTerminalProcessing = 4;

    /// <summary>Enables escape sequences; returns false for consoles before Windows 10, and if the output is not a console.</summary>
    internal static bool UnderstandsEscapes(int standardHandle)
    {
        nint handle = GetStdHandle(standardHandle);
        return GetConsoleMode(handle, out uint mode) && SetConsoleMode(handle, mode | VirtualTerminalProcessing);
    }

    [LibraryImport("kernel32.dll")]
    private static partial nint GetStdHandle(int standardHandle);

    [LibraryImport("kernel32.dll")]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool GetConsoleMode(nint handle, out uint mode);

    [LibraryImport("kernel32.dll")]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool SetConsoleMode(nint handle, uint mode);
}
