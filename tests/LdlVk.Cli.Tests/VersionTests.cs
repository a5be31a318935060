using System.Diagnostics;
using System.Text.RegularExpressions;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>eng/version, in a repository of the test's own.</summary>
public sealed partial class VersionTests
{
    [Fact]
    public void The_version_follows_the_sources()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("eng/version is for a Unix shell.");
        using TempFolder temp = new();
        string repository = temp["repository"];
        foreach (string file in (string[])["Directory.Build.props", ".gitattributes", Path.Combine("eng", "version")])
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(repository, file))!);
            File.Copy(Repository.Path(file), Path.Combine(repository, file));
        }

        Run(repository, "git init -q && git config user.name t && git config user.email t@t && git add -A && GIT_COMMITTER_DATE='2026-11-29T10:02:03+0100' git commit -qm first");
        string first = Version(repository);
        Assert.Matches(Dated(), first);
        Assert.StartsWith(first[..first.IndexOf('-', StringComparison.Ordinal)] + "-dev.20261129.t090203.g", first, StringComparison.Ordinal);
        Assert.Equal(first, Version(repository));

        // Not committed: another version for each content.
        File.WriteAllText(Path.Combine(repository, "new.cs"), "1");
        string one = Version(repository);
        File.WriteAllText(Path.Combine(repository, "new.cs"), "2");
        string two = Version(repository);
        Assert.All([one, two], version => Assert.StartsWith($"{first}.m", version, StringComparison.Ordinal));
        Assert.NotEqual(one, two);

        // A later commit is a later version.
        Run(repository, "git add -A && GIT_COMMITTER_DATE='2026-11-29T10:02:04+0100' git commit -qm second");
        string second = Version(repository);
        Assert.Matches(Dated(), second);
        Assert.True(string.CompareOrdinal(first, second) < 0 && string.CompareOrdinal(two, second) < 0, $"{first} {two} {second}");

        // An archive names its commit, and what is changed in it changes its version. So does a copy without git.
        Run(temp.Path, "mkdir archive && git -C repository archive HEAD | tar x -C archive && cp -r repository copy && rm -rf copy/.git");
        foreach ((string folder, string begin) in ((string, string)[])[("archive", $"{second}.s"), ("copy", $"{first[..first.IndexOf('.', first.IndexOf('-', StringComparison.Ordinal))]}.s")])
        {
            string version = Version(temp[folder]);
            Assert.StartsWith(begin, version, StringComparison.Ordinal);
            Assert.Equal(version, Version(temp[folder]));
            File.WriteAllText(Path.Combine(temp[folder], "new.cs"), "3");
            Assert.NotEqual(version, Version(temp[folder]));
        }

        // The commit of a release.
        string release = second[..second.IndexOf('-', StringComparison.Ordinal)];
        Run(repository, $"git tag v{release}");
        Assert.Equal(release, Version(repository));
    }

    private static string Version(string folder) => Run(folder, "eng/version").Trim();

    private static string Run(string folder, string command)
    {
        ProcessStartInfo start = new("/bin/bash", ["-ec", command]) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, output + error.Result);
        return output;
    }

    [GeneratedRegex(@"^\d+\.\d+\.\d+-dev\.\d{8}\.t\d{6}\.g[0-9a-f]{7}$")]
    private static partial Regex Dated();
}
