using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.AI.Evaluation;

namespace LdlVk.Extensions.AI;

/// <summary>
/// Evaluates a chat response with a reward model, in this process or on a server. The metrics are <see cref="ScoreMetricName"/>, which has
/// the model's score, and one for each attribute. Safe for concurrent calls.
/// </summary>
/// <remarks>
/// <para>
/// The text that is scored is the conversation in the model's own chat template: the messages before the response, then the response.
/// A conversation that the model cannot read as it is, such as one with images or calls of tools, is not scored: the metrics then have
/// no value, and a diagnostic says why.
/// </para>
/// <para>
/// A metric fails only by a threshold of <see cref="RewardEvaluatorOptions"/>. Without one its rating is
/// <see cref="EvaluationRating.Unknown"/>. Scores of different models cannot be compared.
/// </para>
/// </remarks>
public sealed class RewardEvaluator : IEvaluator
{
    private readonly IRewardSource _source;
    private readonly RewardEvaluatorOptions _options;
    private readonly string[] _attributeMetrics;

    /// <summary>
    /// Creates an evaluator that scores with a local model. The model stays the caller's, to dispose after the last evaluation.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="options">Thresholds and settings; null for the defaults.</param>
    /// <exception cref="ArgumentException">A threshold is not a number, or names no attribute of the model.</exception>
    public RewardEvaluator(RewardModel model, RewardEvaluatorOptions? options = null)
        : this(new LocalRewards(model ?? throw new ArgumentNullException(nameof(model))), options)
    {
    }

    private RewardEvaluator(IRewardSource source, RewardEvaluatorOptions? options)
    {
        (_source, _options) = (source, options ?? new RewardEvaluatorOptions());
        _attributeMetrics = _options.IncludeAttributes ? [.. UniqueNames(source.Attributes).Select(AttributeMetricName)] : [];
        EvaluationMetricNames = [ScoreMetricName, .. _attributeMetrics];
        CheckThresholds();
    }

    /// <summary>Name of the metric that has the score.</summary>
    public static string ScoreMetricName => "Reward";

    /// <inheritdoc/>
    public IReadOnlyCollection<string> EvaluationMetricNames { get; }

    /// <summary>Returns the name of the metric that has the value of an attribute: <c>Reward: relevance</c>.</summary>
    /// <param name="attribute">Name of the attribute, as in <see cref="RewardModel.AttributeNames"/>.</param>
    public static string AttributeMetricName(string attribute) => $"{ScoreMetricName}: {attribute}";

    /// <summary>Creates an evaluator that scores on a server, and asks the server for the names of its model's attributes.</summary>
    /// <param name="server">
    /// A client whose <see cref="HttpClient.BaseAddress"/> is the server that <c>ldlvk serve</c> started, such as
    /// <c>http://127.0.0.1:8000</c>. If the server has a key, the client's default headers hold it: <c>Authorization: Bearer KEY</c>. The
    /// client stays the caller's, to dispose after the last evaluation.
    /// </param>
    /// <param name="options">Thresholds and settings; null for the defaults.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="HttpRequestException">The server cannot be reached or refuses the call; the message says what to do.</exception>
    /// <exception cref="ArgumentException">
    /// The client has no address, or a threshold is not a number or names no attribute of the model.
    /// </exception>
    public static async Task<RewardEvaluator> ConnectAsync(
        HttpClient server, RewardEvaluatorOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(server);
        return new RewardEvaluator(await ServerRewards.ConnectAsync(server, cancellationToken).ConfigureAwait(false), options);
    }

    /// <summary>Scores a response. What keeps it from being scored is a diagnostic of each metric, which then has no value.</summary>
    /// <param name="messages">The messages before the response.</param>
    /// <param name="modelResponse">The response.</param>
    /// <param name="chatConfiguration">Not used: the reward model judges, no chat model.</param>
    /// <param name="additionalContext">Not used: a reward model reads the conversation alone.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public async ValueTask<EvaluationResult> EvaluateAsync(
        IEnumerable<ChatMessage> messages, ChatResponse modelResponse, ChatConfiguration? chatConfiguration = null,
        IEnumerable<EvaluationContext>? additionalContext = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        ArgumentNullException.ThrowIfNull(modelResponse);
        long started = Stopwatch.GetTimestamp();
        List<EvaluationDiagnostic> notes = [];
        NumericMetric[] metrics = [.. EvaluationMetricNames.Select(name => new NumericMetric(name))];
        try
        {
            Conversation conversation = ChatConversation.Of([.. messages], [.. modelResponse.Messages], notes);
            Reward reward = await _source.ScoreAsync(conversation, _options, cancellationToken).ConfigureAwait(false);
            Fill(metrics, reward);
        }
        catch (RewardFailedException e)
        {
            notes.Add(EvaluationDiagnostic.Error(e.Message));
        }

        TimeSpan duration = Stopwatch.GetElapsedTime(started);
        for (int i = 0; i < metrics.Length; i++)
        {
            metrics[i].Interpretation = Interpret(metrics[i], ThresholdOf(i), isScore: i == 0);
            metrics[i].AddOrUpdateDurationMetadata(duration);
            if (notes.Count > 0) metrics[i].AddDiagnostics(notes);
        }

        return new EvaluationResult(metrics);
    }

    /// <summary>Sets the values and what belongs to them. The score is Σ weight · value over the attributes.</summary>
    private void Fill(NumericMetric[] metrics, Reward reward)
    {
        if (_attributeMetrics.Length > 0 && reward.Attributes != _attributeMetrics.Length)
            throw new RewardFailedException(
                $"The reward has {reward.Attributes} attributes, and the model has {_attributeMetrics.Length}. Create the evaluator anew.");
        metrics[0].Value = reward.Score;
        metrics[0].AddOrUpdateMetadata("tokens", reward.Tokens.ToString(CultureInfo.InvariantCulture));
        foreach ((string name, string value) in _source.Metadata) metrics[0].AddOrUpdateMetadata(name, value);
        for (int a = 0; a < _attributeMetrics.Length; a++)
        {
            metrics[a + 1].Value = reward.AttributeScore(a);
            metrics[a + 1].AddOrUpdateMetadata("weight", reward.Weights[a].ToString("R", CultureInfo.InvariantCulture));
        }
    }

    private static EvaluationMetricInterpretation Interpret(NumericMetric metric, double? threshold, bool isScore)
    {
        if (metric.Value is not { } value)
            return new EvaluationMetricInterpretation(
                EvaluationRating.Inconclusive, failed: threshold is not null, "The response was not scored; the diagnostics say why.");
        string scale = isScore
            ? "Higher is better; scores of different models cannot be compared." : "The scale goes from 0 (bad) to 1 (good).";
        if (threshold is not { } least)
            return new EvaluationMetricInterpretation(EvaluationRating.Unknown, reason: $"{scale} No threshold was given.");
        bool failed = value < least;
        string comparison = failed ? "below" : "at least";
        return new EvaluationMetricInterpretation(
            failed ? EvaluationRating.Unacceptable : EvaluationRating.Good, failed,
            string.Create(CultureInfo.InvariantCulture, $"{value} is {comparison} the given threshold {least}. {scale}"));
    }

    private double? ThresholdOf(int metric) =>
        metric == 0 ? _options.Threshold
            : _options.AttributeThresholds.TryGetValue(_source.Attributes[metric - 1], out double threshold) ? threshold : null;

    private void CheckThresholds()
    {
        if (_options.AttributeThresholds.Values.Prepend(_options.Threshold ?? 0).Any(double.IsNaN))
            throw new ArgumentException("A threshold is NaN. Give a number, or leave it out.", "options");
        foreach (string name in _options.AttributeThresholds.Keys)
        {
            if (!_options.IncludeAttributes)
                throw new ArgumentException(
                    $"{nameof(RewardEvaluatorOptions.AttributeThresholds)} has {name}, and "
                        + $"{nameof(RewardEvaluatorOptions.IncludeAttributes)} is false.", "options");
            if (!_source.Attributes.Contains(name))
                throw new ArgumentException(
                    $"{nameof(RewardEvaluatorOptions.AttributeThresholds)} has {name}, which is no attribute of the model. "
                        + (_source.Attributes.Count == 0
                            ? "It gives the score alone." : $"Its attributes are {string.Join(", ", _source.Attributes)}."), "options");
        }
    }

    /// <summary>A name that occurs again gets its number: metrics of a result have different names.</summary>
    private static IEnumerable<string> UniqueNames(IReadOnlyList<string> names) =>
        names.Select((name, i) => names.Take(i).Contains(name) ? $"{name} ({i.ToString(CultureInfo.InvariantCulture)})" : name);
}
