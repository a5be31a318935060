using System.Diagnostics;
using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.DirectML.Tests;

/// <summary>What -p:BundleDirectML=true changes in the command line's project. The package itself is not needed to know.</summary>
public sealed class BundleDirectMLTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(false, "-p:RuntimeIdentifier=win-x64")]
    [InlineData(false, "-p:RuntimeIdentifier=linux-x64", "-p:BundleDirectML=true")]
    [InlineData(true, "-p:RuntimeIdentifier=win-x64", "-p:BundleDirectML=true")]
    public void The_package_is_referenced_where_it_is_asked_for_alone(bool bundled, params string[] properties)
    {
        (JsonElement packages, JsonElement files) = Evaluate([.. properties, "-p:PkgMicrosoft_AI_DirectML=PACKAGE"]);
        Assert.Contains(packages.EnumerateArray(), item => Of(item, "Identity") == "Spectre.Console");
        Assert.Equal(bundled, packages.EnumerateArray().Any(item => Of(item, "Identity") == "Microsoft.AI.DirectML"));
        JsonElement[] libraries = [.. files.EnumerateArray().Where(item => Of(item, "Link") == "DirectML.dll")];
        Assert.Equal(bundled ? 1 : 0, libraries.Length);
        if (!bundled) return;
        Assert.Equal("PACKAGE/bin/x64-win/DirectML.dll", Of(libraries[0], "Identity").Replace('\\', '/'));
        Assert.Equal("PreserveNewest", Of(libraries[0], "CopyToOutputDirectory"));
    }

    private static string Of(JsonElement item, string name) => item.TryGetProperty(name, out JsonElement value) ? value.GetString()! : "";

    private static (JsonElement Packages, JsonElement Files) Evaluate(string[] properties)
    {
        ProcessStartInfo start = new("dotnet", ["msbuild", Repository.Path("src", "LdlVk.Cli", "LdlVk.Cli.csproj"), "-nologo", "-getItem:PackageReference,None", .. properties])
        {
            RedirectStandardOutput = true,
        };
        // The test's own host sets some that mislead another MSBuild.
        foreach (string name in start.Environment.Keys.Where(name => name.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase)).ToArray()) start.Environment.Remove(name);
        Process? process = null;
        try
        {
            process = Process.Start(start);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip("there is no program dotnet here");
        }

        using (process)
        {
            string output = process!.StandardOutput.ReadToEnd();
            process.WaitForExit();
            Assert.True(process.ExitCode == 0, output);
            JsonElement items = JsonDocument.Parse(output).RootElement.GetProperty("Items");
            return (items.GetProperty("PackageReference"), items.GetProperty("None"));
        }
    }
}
