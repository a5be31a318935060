using LdlVk;
using LdlVk.Extensions.AI;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.AI.Evaluation;
using Microsoft.Extensions.AI.Evaluation.Reporting;
using Microsoft.Extensions.AI.Evaluation.Reporting.Formats.Html;
using Microsoft.Extensions.AI.Evaluation.Reporting.Storage;

// A model of this process. For one on a server: await RewardEvaluator.ConnectAsync(new HttpClient { BaseAddress = new("http://127.0.0.1:8000") })
using RewardModel model = await RewardModel.LoadAsync("models/ldl-mini");
RewardEvaluator evaluator = new(model, new RewardEvaluatorOptions { Threshold = 0 });

// Your program's questions and answers. Each becomes a scenario of the report.
ReportingConfiguration reporting = DiskBasedReportingConfiguration.Create("results", [evaluator], executionName: "first");
foreach (string answer in (string[])["A large body of salt water.", "A larg boddy fo slat watre."])
{
    ChatMessage[] messages = [new(ChatRole.User, "Define \"sea\".")];
    ChatResponse response = new(new ChatMessage(ChatRole.Assistant, answer));
    await using ScenarioRun run = await reporting.CreateScenarioRunAsync("Define sea", answer);
    EvaluationResult result = await run.EvaluateAsync(messages, response);
    Console.WriteLine($"{result.Get<NumericMetric>(RewardEvaluator.ScoreMetricName).Value} {answer}");
}

List<ScenarioRunResult> results = [];
await foreach (ScenarioRunResult result in reporting.ResultStore.ReadResultsAsync(reporting.ExecutionName)) results.Add(result);
await new HtmlReportWriter("report.html").WriteReportAsync(results);
