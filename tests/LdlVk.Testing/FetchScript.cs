using System.ComponentModel;
using System.Diagnostics;

namespace LdlVk.Testing;

/// <summary>Runs a script eng/fetch-…, which prints the folder that holds what it fetched.</summary>
public static class FetchScript
{
    /// <summary>Runs a script of eng.</summary>
    /// <returns>The folder; null where it cannot be had, and then why.</returns>
    public static (string? Folder, string? WhyNot) Run(string script, params string[] arguments)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo("bash", [$"eng/{script}", .. arguments])
            {
                WorkingDirectory = Repository.Root,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(TimeSpan.FromMinutes(3)))
            {
                process.Kill(entireProcessTree: true);
                return (null, $"eng/{script} took more than 3 minutes.");
            }

            return process.ExitCode == 0 ? (output.Result.Trim(), null) : (null, $"eng/{script} failed: {errors.Result.Trim()}");
        }
        catch (Win32Exception e)
        {
            return (null, $"eng/{script} needs bash: {e.Message}");
        }
    }
}
