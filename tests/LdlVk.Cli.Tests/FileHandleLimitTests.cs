using System.Diagnostics;

namespace LdlVk.Cli.Tests;

/// <summary>A process that may open few files says so, however few.</summary>
[Trait("Duration", "Long")]
public sealed class FileHandleLimitTests
{
    [Theory]
    [InlineData(40)]
    [InlineData(64)]
    [InlineData(100)]
    [InlineData(255)]
    public async Task Too_few_files_are_one_error(int limit)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Other systems have no such limit, or none that ulimit sets.");
        string program = Path.Combine(AppContext.BaseDirectory, "LdlVk.Cli.dll");
        ProcessStartInfo start = new("bash", ["-c", $"ulimit -n {limit} && exec dotnet '{program}' score --model '{Cli.Mini}' --device cpu --prompt a --response b"])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        string error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal((2, "", "ldlvk: this process may open too few files: it needs 256. Raise the limit (ulimit -n 4096).\n"), (process.ExitCode, await output, error));
    }
}
