using System.Diagnostics;
using System.Globalization;
using LdlVk.Testing;

namespace LdlVk.Extensions.AI.Tests;

/// <summary>samples/EvaluationReport, which docs/csharp.md shows.</summary>
public sealed class ReportSampleTests
{
    [Fact]
    public async Task The_sample_puts_the_metrics_into_a_report()
    {
        using TempFolder temp = new();
        Directory.CreateSymbolicLink(temp["models"], Repository.Path("models"));
        ProcessStartInfo start = new("dotnet", [Path.Combine(AppContext.BaseDirectory, "LdlVk.ReportSample.dll")])
        {
            WorkingDirectory = temp.Path, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        // A machine's GPU has other last digits.
        foreach (string variable in (string[])["VK_DRIVER_FILES", "VK_ICD_FILENAMES"]) start.Environment[variable] = "/nonexistent.json";
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        Task<string> error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, await output + await error);

        using RewardModel model = RewardModel.Load(Repository.Path("models", "ldl-mini"), new RewardModelOptions { Device = "cpu" });
        string[] report = await File.ReadAllLinesAsync(temp["report.html"], TestContext.Current.CancellationToken);
        foreach ((string answer, bool failed) in ((string, bool)[])[("A large body of salt water.", false), ("A larg boddy fo slat watre.", true)])
        {
            string score = ((double)model.Score(new Conversation("Define \"sea\".", answer)).Score).ToString(CultureInfo.InvariantCulture);
            Assert.Contains($"{score} {answer}", await output, StringComparison.Ordinal);
            int at = Array.IndexOf(report, $"Define sea | {answer}");
            Assert.Equal($"Reward | {score} | {failed}", report[at + 1]);
            Assert.StartsWith("Reward: overall | ", report[at + 23], StringComparison.Ordinal);
        }
    }
}
