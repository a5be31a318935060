using System.Diagnostics;
using System.Runtime.CompilerServices;
using LdlVk.Scoring;

namespace LdlVk.Tests;

/// <summary>A process that ends in the middle of a self-test, as by a driver that crashes: this assembly, with a variable in its environment.</summary>
internal static class DyingChild
{
    private const string Variable = "LDLVK_TEST_DIES_AT";

    /// <summary>Runs it; its exit code.</summary>
    /// <param name="path">The file in which verdicts are kept.</param>
    public static int Run(string path)
    {
        ProcessStartInfo start = new("dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, "LdlVk.Tests.dll")]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment[Variable] = path;
        using Process process = Process.Start(start)!;
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode;
    }

    [ModuleInitializer]
    internal static void EnterIfChild()
    {
        if (Environment.GetEnvironmentVariable(Variable) is not { } path) return;
        new KernelTrust(path, Die, device => device).Check(KernelTrustTests.Card);
        Environment.Exit(0);
    }

    private static string? Die(DeviceInfo device)
    {
        // No handler, no finally: what a driver's fault leaves of a process.
        Process.GetCurrentProcess().Kill();
        Thread.Sleep(Timeout.Infinite);
        return device.Name;
    }
}
