using System.ComponentModel;
using System.Diagnostics;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>Runs the tests of clients/python where there is a Python.</summary>
[Trait("Duration", "Long")]
public sealed class PythonClientTests
{
    [Fact]
    public async Task Its_tests_pass()
    {
        ProcessStartInfo start = new("python3", ["-B", "-m", "unittest"])
        {
            WorkingDirectory = Repository.Path("clients", "python"), RedirectStandardError = true, RedirectStandardOutput = true,
        };
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            Assert.Skip("There is no python3.");
            return;
        }

        using (process)
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(120), TestContext.Current.CancellationToken);
            Assert.True(process.ExitCode == 0, await output + await error);
            Assert.Contains("OK", await error, StringComparison.Ordinal);
        }
    }
}
