using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace LdlVk.Cli.Output;

/// <summary>
/// Windows' console understands colors and "erase the line" when a program asks for that, and shows them as rubbish otherwise.
/// </summary>
[SupportedOSPlatform("windows")]
internal static partial class WindowsConsole
{
    /// <summary>GetStdHandle's numbers.</summary>
    internal const int StandardOutput = -11, StandardError = -12;

    private const uint VirtualTerminalProcessing = 4;

    /// <summary>Asks for it; false for a console of before Windows 10, and for what is no console.</summary>
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
