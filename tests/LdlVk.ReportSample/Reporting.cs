// The members of Microsoft.Extensions.AI.Evaluation.Reporting 10.11.0 that the sample uses, under their own names. The evaluators run as
// they do there, inside a CompositeEvaluator; the report is a list of the metrics.
#pragma warning disable IDE0130, CA1812
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace Microsoft.Extensions.AI.Evaluation.Reporting
{
    internal sealed record ScenarioRunResult(string ScenarioName, string IterationName, string ExecutionName, EvaluationResult EvaluationResult);

    internal sealed class ResultStore
    {
        public List<ScenarioRunResult> Results { get; } = [];

        public async IAsyncEnumerable<ScenarioRunResult> ReadResultsAsync(
            string? executionName = null, string? scenarioName = null, string? iterationName = null,
            [EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            await Task.Yield();
            foreach (ScenarioRunResult result in Results.Where(r => executionName is null || r.ExecutionName == executionName)) yield return result;
        }
    }

    internal sealed class ReportingConfiguration(IEnumerable<IEvaluator> evaluators, string executionName)
    {
        public ResultStore ResultStore { get; } = new();

        public string ExecutionName => executionName;

        public ValueTask<ScenarioRun> CreateScenarioRunAsync(string scenarioName, string iterationName = "1", CancellationToken cancellationToken = default) =>
            new(new ScenarioRun(scenarioName, iterationName, executionName, new CompositeEvaluator(evaluators), ResultStore));
    }

    internal sealed class ScenarioRun(string scenario, string iteration, string execution, CompositeEvaluator evaluator, ResultStore store) : IAsyncDisposable
    {
        private EvaluationResult? _result;

        public async ValueTask<EvaluationResult> EvaluateAsync(
            IEnumerable<ChatMessage> messages, ChatResponse modelResponse, IEnumerable<EvaluationContext>? additionalContext = null,
            CancellationToken cancellationToken = default) =>
            _result = await evaluator.EvaluateAsync(messages, modelResponse, null, additionalContext, cancellationToken);

        public ValueTask DisposeAsync()
        {
            if (_result is not null) store.Results.Add(new ScenarioRunResult(scenario, iteration, execution, _result));
            return default;
        }
    }
}

namespace Microsoft.Extensions.AI.Evaluation.Reporting.Storage
{
    internal static class DiskBasedReportingConfiguration
    {
        public static ReportingConfiguration Create(
            string storageRootPath, IEnumerable<IEvaluator> evaluators, ChatConfiguration? chatConfiguration = null, string executionName = "Default") =>
            new(evaluators, executionName);
    }
}

namespace Microsoft.Extensions.AI.Evaluation.Reporting.Formats.Html
{
    internal sealed class HtmlReportWriter(string reportFilePath)
    {
        public async ValueTask WriteReportAsync(IEnumerable<ScenarioRunResult> scenarioRunResults, CancellationToken cancellationToken = default)
        {
            StringBuilder text = new();
            foreach (ScenarioRunResult result in scenarioRunResults)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"{result.ScenarioName} | {result.IterationName}");
                foreach (EvaluationMetric metric in result.EvaluationResult.Metrics.Values)
                    text.AppendLine(CultureInfo.InvariantCulture, $"{metric.Name} | {(metric as NumericMetric)?.Value} | {metric.Interpretation?.Failed}");
            }

            await File.WriteAllTextAsync(reportFilePath, text.ToString(), cancellationToken);
        }
    }
}
