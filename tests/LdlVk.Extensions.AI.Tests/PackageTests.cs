using System.Diagnostics;
using System.Text.RegularExpressions;
using LdlVk.Testing;

namespace LdlVk.Extensions.AI.Tests;

/// <summary>The packages, installed by the words of docs/csharp.md with an empty home.</summary>
[Trait("Duration", "Long")]
public sealed partial class PackageTests
{
    private static readonly string[] Projects = ["LdlVk.Runtime", "LdlVk.Cpu", "LdlVk.Vulkan", "LdlVk.DirectML", "LdlVk.SelfTest", "LdlVk", "LdlVk.Extensions.AI"];

    [Fact]
    public async Task The_words_of_the_page_install_the_packages_and_run_its_program()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("The words are for a Unix shell.");
        string page = (await File.ReadAllTextAsync(Repository.Path("docs", "csharp.md"), TestContext.Current.CancellationToken)).ReplaceLineEndings("\n");
        using TempFolder temp = new();
        (int status, string version) = await RunAsync(Repository.Root, null, "eng/version");
        Assert.True(status == 0, version);
        foreach (string project in Projects)
        {
            (status, string packed) = await RunAsync(
                Repository.Root, null,
                $"dotnet pack src/{project} -c Release --no-build -v quiet --nologo -p:Version={version.Trim()} -p:PackageOutputPath='{temp["dist"]}'");
            Assert.True(status == 0, packed);
        }

        (status, string installed) = await RunAsync(temp.Path, temp["home"], Block(page, "bash"));
        if (installed.Contains("NU1301", StringComparison.Ordinal)) Assert.Skip("No registry of NuGet can be reached.");
        Assert.True(status == 0, installed);
        Assert.Contains($"Version=\"{version.Trim()}\"", await File.ReadAllTextAsync(Path.Combine(temp["app"], "app.csproj"), TestContext.Current.CancellationToken), StringComparison.Ordinal);

        await File.WriteAllTextAsync(Path.Combine(temp["app"], "Program.cs"), Block(page, "csharp"), TestContext.Current.CancellationToken);
        Directory.CreateSymbolicLink(Path.Combine(temp["app"], "models"), Repository.Path("models"));
        (status, string output) = await RunAsync(temp["app"], temp["home"], "dotnet run");
        Assert.True(status == 0, output);
        Assert.StartsWith(Block(page, "text").Split('…')[0], output, StringComparison.Ordinal);
    }

    private static string Block(string page, string language) =>
        Assert.Single(Fence().Matches(page), match => match.Groups[1].Value == language).Groups[2].Value;

    private static async Task<(int Status, string Output)> RunAsync(string folder, string? home, string command)
    {
        ProcessStartInfo start = new("/bin/bash", ["-ec", $"exec 2>&1\n{command}"]) { WorkingDirectory = folder, RedirectStandardOutput = true };
        // A machine's GPU has other last digits.
        foreach (string variable in (string[])["VK_DRIVER_FILES", "VK_ICD_FILENAMES"]) start.Environment[variable] = "/nonexistent.json";
        // What the test host's own SDK tells its children is not for these.
        foreach (string variable in start.Environment.Keys.Where(key => key.StartsWith("MSBuild", StringComparison.OrdinalIgnoreCase)).ToArray())
            start.Environment.Remove(variable);
        if (home is not null)
        {
            Directory.CreateDirectory(home);
            foreach (string variable in (string[])["HOME", "DOTNET_CLI_HOME"]) start.Environment[variable] = home;
            foreach (string variable in (string[])["NUGET_PACKAGES", "XDG_DATA_HOME", "XDG_CACHE_HOME", "RestoreLockedMode"]) start.Environment.Remove(variable);
        }

        start.Environment["DOTNET_NOLOGO"] = "1";
        // Servers of the SDK that stay would hold the folder.
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        using Process process = Process.Start(start)!;
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, output);
    }

    [GeneratedRegex(@"^```([a-z]+)\n(.*?)^```$", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex Fence();
}
