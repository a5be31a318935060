using System.Diagnostics;
using LdlVk.Testing;

namespace LdlVk.Clients.Tests;

/// <summary>Runs a program in the repository's root.</summary>
internal static class ProcessOutput
{
    /// <summary>Returns the exit code and what the program wrote; 127 where there is no such program.</summary>
    public static async Task<(int Status, string Output, string Error)> OfAsync(
        string program, string[] arguments, string? input, params (string Name, string? Value)[] environment)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            WorkingDirectory = Repository.Root, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        foreach ((string name, string? value) in environment) start.Environment[name] = value;
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            return (127, "", $"{program} is not installed: {e.Message}");
        }

        using (process)
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
            await process.StandardInput.WriteAsync(input);
            process.StandardInput.Close();
            await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(3), TestContext.Current.CancellationToken);
            return (process.ExitCode, await output, await error);
        }
    }
}
