using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using LdlVk.Testing;

namespace LdlVk.Server.Tests;

/// <summary>What deploy/ has for clusters: each file by the tool that will read it, and each metric by the list of those there are.</summary>
public sealed partial class DeployTests(Mini mini)
{
    private static readonly string Deploy = Repository.Path("deploy");

    private static readonly string Alerts = Path.Combine(Deploy, "prometheus", "alerts.yaml");

    /// <summary>A metric with another name would be an empty panel, or an alert that never comes.</summary>
    [Fact]
    public void Every_metric_that_they_name_is_there_and_the_dashboard_shows_all()
    {
        string dashboard = string.Join('\n', Expressions());
        HashSet<string> shown = [.. Metrics(dashboard)];
        HashSet<string> known = [.. MetricsTests.Known.Select(k => k.Split(' ')[1])];
        Assert.Equal(known.Order(), shown.Order());
        foreach (string file in (string[])[Alerts, .. Directory.EnumerateFiles(Path.Combine(Deploy, "serving")), Path.Combine(Deploy, "prometheus", "adapter.yaml")])
            Assert.Empty(Metrics(File.ReadAllText(file)).Except(known));
        Assert.Contains("ldlvk_queue_tokens", Metrics(File.ReadAllText(Path.Combine(Deploy, "serving", "autoscaler.yaml"))));
    }

    /// <summary>The labels of a metric, and those that Prometheus adds.</summary>
    [Fact]
    public void Every_label_that_they_name_is_there()
    {
        HashSet<string> known = ["instance", "job", .. MetricsTests.Known.Select(k => k.Split(' ')).Where(w => w.Length == 3).SelectMany(w => w[2].Split(','))];
        foreach (string text in (string[])[.. Expressions(), File.ReadAllText(Alerts)])
        {
            IEnumerable<string> grouped = Grouping().Matches(text).SelectMany(m => m.Groups[1].Value.Split(',', StringSplitOptions.TrimEntries));
            Assert.Empty(Matcher().Matches(text).Select(m => m.Groups[1].Value).Concat(grouped).Except(known));
        }
    }

    [Fact]
    [Trait("Duration", "Long")]
    public async Task Promtool_accepts_the_alerts_and_they_come_when_they_should()
    {
        Assert.Contains("7 rules found", await PromtoolAsync("", "check", "rules", Alerts), StringComparison.Ordinal);
        Assert.Contains("SUCCESS", await PromtoolAsync("", "test", "rules", Path.Combine(Deploy, "prometheus", "alerts.test.yaml")), StringComparison.Ordinal);
        // Each alert has a case in which it comes.
        string tests = await File.ReadAllTextAsync(Path.Combine(Deploy, "prometheus", "alerts.test.yaml"));
        foreach (Match alert in Alert().Matches(await File.ReadAllTextAsync(Alerts)))
            Assert.Matches($@"alertname: {alert.Groups[1].Value}\n\s+exp_alerts:\n", tests);
    }

    /// <summary>A dashboard's queries are Prometheus' own, once its variables have values.</summary>
    [Fact]
    [Trait("Duration", "Long")]
    public async Task Promtool_understands_the_queries_of_the_dashboard()
    {
        using TempFolder temp = new();
        IEnumerable<string> rules = Expressions().Select((query, i) =>
            $"  - {{ record: 'panel:{i}', expr: '{query.Replace("$__rate_interval", "5m", StringComparison.Ordinal).Replace("'", "''", StringComparison.Ordinal)}' }}\n");
        string file = temp.Write("rules.yaml", "groups:\n- name: dashboard\n  rules:\n" + string.Concat(rules));
        Assert.Contains($"{Expressions().Length} rules found", await PromtoolAsync("", "check", "rules", file), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Duration", "Long")]
    public async Task Promtool_finds_nothing_to_say_about_the_metrics()
    {
        await using Api api = await Api.StartAsync(mini);
        await api.PostAsync("v1/rewards", new { prompt = "p", response = "x" });
        await api.PostAsync("v1/rewards", "{");
        Assert.Equal("", await PromtoolAsync((await api.GetAsync("metrics")).Text, "check", "metrics"));
    }

    /// <summary>Kubernetes' files, by the published schemas; and that a validator that cannot see an error would be seen.</summary>
    [Fact]
    [Trait("Duration", "Long")]
    public async Task Kubernetes_schemas_have_every_field_of_the_manifests()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("eng/fetch-clients is for a Unix shell.");
        (string? folder, string? whyNot) = FetchScript.Run("fetch-clients", "tests/LdlVk.Server.Tests/npm");
        if (folder is null) Assert.Skip($"The schemas are not here: {whyNot}");
        string[] files = [.. Directory.EnumerateFiles(Deploy, "*.yaml", SearchOption.AllDirectories).Order()];
        string[] said = await ValidateAsync(folder, files);
        Assert.True(said.Length == 1 && int.Parse(said[0]) >= 6, string.Join('\n', said));

        using TempFolder temp = new();
        string text = await File.ReadAllTextAsync(Path.Combine(Deploy, "serving", "disruption-budget.yaml"));
        string wrong = temp.Write("wrong.yaml", text.Replace("maxUnavailable: 1", "maxUnavailable: {}", StringComparison.Ordinal));
        string unknown = temp.Write("unknown.yaml", text.Replace("maxUnavailable", "maxUnavailabel", StringComparison.Ordinal));
        Assert.Contains("/spec/maxUnavailable", (await ValidateAsync(folder, wrong))[0], StringComparison.Ordinal);
        Assert.Contains("there is no field maxUnavailabel", (await ValidateAsync(folder, unknown))[0], StringComparison.Ordinal);
    }

    /// <summary>The overlay is whole: Debian's kubectl makes the objects of it, and the schemas have every field of those too.</summary>
    [Fact]
    [Trait("Duration", "Long")]
    public async Task Kustomize_makes_the_objects()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("eng/fetch-debian is for a Unix shell.");
        (string? tools, string? whyNot) = FetchScript.Run("fetch-debian", "kubernetes-client");
        if (tools is null) Assert.Skip($"kubectl is not here: {whyNot}");
        (int code, string made) = await RunAsync(Path.Combine(tools, "usr", "bin", "kubectl"), "", "kustomize", Path.Combine(Deploy, "serving"));
        Assert.True(code == 0, made);
        Assert.Equal(
            ["Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service", "Service"],
            Regex.Matches(made, "^kind: ([A-Za-z]+)$", RegexOptions.Multiline).Select(m => m.Groups[1].Value).Order(StringComparer.Ordinal));
        Assert.Contains("image: registry.example/ldlvk:latest", made, StringComparison.Ordinal);
        (string? folder, whyNot) = FetchScript.Run("fetch-clients", "tests/LdlVk.Server.Tests/npm");
        if (folder is null) Assert.Skip($"The schemas are not here: {whyNot}");
        using TempFolder temp = new();
        Assert.Equal(["5"], await ValidateAsync(folder, temp.Write("made.yaml", made)));
    }

    /// <summary>What belongs together across the files: the ports, the labels, the times of stopping, the files of the overlay.</summary>
    [Fact]
    public void The_manifests_fit_each_other()
    {
        string Read(string name) => File.ReadAllText(Path.Combine(Deploy, "serving", name));
        string deployment = Read("deployment.yaml");
        int Number(string pattern) => int.Parse(Regex.Match(deployment, pattern).Groups[1].Value);
        Assert.True(Number("terminationGracePeriodSeconds: ([0-9]+)") > Number("--drain-delay-seconds=([0-9]+)") + Number("--drain-seconds=([0-9]+)"));
        Assert.Equal(Number("http://\\*:([0-9]+)"), Number("name: http, containerPort: ([0-9]+)"));
        Assert.Equal(Number("--health-port=([0-9]+)"), Number("name: health, containerPort: ([0-9]+)"));
        string[] listed = [.. Regex.Matches(Read("kustomization.yaml"), "  - ([a-z-]+\\.yaml)").Select(m => m.Groups[1].Value)];
        string[] there = [.. Directory.EnumerateFiles(Path.Combine(Deploy, "serving")).Select(f => Path.GetFileName(f)!).Where(f => f != "kustomization.yaml")];
        Assert.Equal(there.Order(), listed.Order());
        Assert.All((string[])["deployment.yaml", "service.yaml", "disruption-budget.yaml"], file => Assert.Contains("{ app.kubernetes.io/name: ldlvk }", Read(file), StringComparison.Ordinal));
    }

    private static string[] Expressions()
    {
        JsonElement dashboard = Api.Json(File.ReadAllText(Path.Combine(Deploy, "grafana", "ldlvk.json")));
        return [.. dashboard.GetProperty("panels").EnumerateArray().Where(p => p.TryGetProperty("targets", out _))
            .SelectMany(p => p.GetProperty("targets").EnumerateArray()).Select(t => t.GetProperty("expr").GetString()!)];
    }

    /// <summary>Names of metrics in a text, without what the samples of a histogram add.</summary>
    private static IEnumerable<string> Metrics(string text)
    {
        HashSet<string> histograms = [.. MetricsTests.Known.Where(k => k.StartsWith("histogram ", StringComparison.Ordinal)).Select(k => k.Split(' ')[1])];
        return Metric().Matches(text).Select(m => m.Value).Select(name => Suffix().Replace(name, "") is var shorter && histograms.Contains(shorter) ? shorter : name);
    }

    private static async Task<string[]> ValidateAsync(string folder, params string[] files)
    {
        (int code, string output) = await RunAsync(
            "node", JsonSerializer.Serialize(new { folder, files }), Repository.Path("tests", "LdlVk.Server.Tests", "npm", "manifests.mjs"));
        Assert.True(code == 0, output);
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private static async Task<string> PromtoolAsync(string input, params string[] arguments)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("eng/fetch-debian is for a Unix shell.");
        (string? folder, string? whyNot) = FetchScript.Run("fetch-debian", "prometheus");
        if (folder is null) Assert.Skip($"promtool is not here: {whyNot}");
        (int code, string output) = await RunAsync(Path.Combine(folder, "usr", "bin", "promtool"), input, arguments);
        Assert.True(code == 0, output);
        return output;
    }

    private static async Task<(int Code, string Output)> RunAsync(string program, string input, params string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(2));
        return (process.ExitCode, await output + await error);
    }

    /// <summary>A name of a metric, which files and alerts' names are not.</summary>
    [GeneratedRegex("\\bldlvk_[a-z_]+")]
    private static partial Regex Metric();

    [GeneratedRegex("_(bucket|sum|count)$")]
    private static partial Regex Suffix();

    [GeneratedRegex("[{,]([a-z]+)[=!]~?\"")]
    private static partial Regex Matcher();

    [GeneratedRegex("\\b(?:by|on) \\(([a-z, ]+)\\)")]
    private static partial Regex Grouping();

    [GeneratedRegex("- alert: ([A-Za-z]+)")]
    private static partial Regex Alert();
}
