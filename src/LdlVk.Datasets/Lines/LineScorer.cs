using System.Runtime.CompilerServices;
using LdlVk.Datasets.Items;

namespace LdlVk.Datasets.Lines;

/// <summary>A line and its result.</summary>
/// <param name="Line">The line.</param>
/// <param name="Rewards">A reward for each of its texts; empty if there is an error.</param>
/// <param name="Error">The reason why the line could not be scored; null if it was scored.</param>
public sealed record ScoredLine(InputLine Line, IReadOnlyList<Reward> Rewards, string? Error);

/// <summary>Scores lines: passes their texts to the model in one stream, and assigns the results to the lines.</summary>
/// <param name="model">The model.</param>
/// <param name="progress">Called after each micro-batch.</param>
/// <param name="word">How errors name options.</param>
public sealed class LineScorer(RewardModel model, IProgress<ScoreProgress>? progress, OptionWording word)
{
    /// <summary>
    /// Maximum number of lines and bytes of one stream. The model reads ahead by tokens, and failed lines have none: in an unlimited
    /// stream,
    /// a file of failed lines would be read into memory as a whole.
    /// </summary>
    private const int LinesPerStream = 4096, BytesPerStream = 64 << 20;

    private readonly IProgress<ScoreProgress>? _progress = progress;
    private readonly Queue<Pending> _pending = new();
    private ScoreProgress _before, _now;

    /// <summary>What the lines were read as.</summary>
    public ItemShapes Shapes { get; } = new();

    /// <summary>The progress so far.</summary>
    public ScoreProgress Progress => _now;

    /// <summary>Returns the lines with their results, in order.</summary>
    public async IAsyncEnumerable<ScoredLine> ScoreAsync(
        IEnumerable<InputLine> lines, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using IEnumerator<InputLine> source = lines.GetEnumerator();
        bool more = true;
        while (more)
        {
            await foreach (ScoreResult result in model.ScoreManyAsync(Texts(), new Relay(this), cancellationToken).ConfigureAwait(false))
            {
                while (_pending.Peek().IsComplete) yield return _pending.Dequeue().ToScored();
                _pending.Peek().Add(result);
                while (_pending.TryPeek(out Pending? line) && line.IsComplete) yield return _pending.Dequeue().ToScored();
            }

            while (_pending.TryDequeue(out Pending? line)) yield return line.ToScored();
            _before = _now;
        }

        IEnumerable<TokenizedText> Texts()
        {
            for (long count = 0, bytes = 0; count < LinesPerStream && bytes < BytesPerStream; count++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                more = source.MoveNext();
                if (!more) yield break;
                InputLine line = source.Current;
                bytes += line.Bytes;
                _pending.Enqueue(new Pending(line, word));
                Shapes.Add(line.Item);
                foreach (TokenizedText text in line.Item.Encode(model)) yield return text;
            }
        }
    }

    /// <summary>A line that waits for the results of its texts.</summary>
    private sealed class Pending(InputLine line, OptionWording word)
    {
        private readonly List<Reward> _rewards = [];
        private string? _error = line.Error;
        private int _done;

        public bool IsComplete => _done == line.Item.Texts;

        public void Add(ScoreResult result)
        {
            if (result.Error is { } notice)
            {
                string error = notice.Say(word);
                _error ??= line.Item.HasResponses ? $"response {_done} (counted from 0): {error}" : error;
            }
            else
            {
                _rewards.Add(result.Reward!);
            }

            _done++;
        }

        public ScoredLine ToScored() => new(line, _error is null ? _rewards : [], _error);
    }

    /// <summary>Adds the progress of earlier streams to that of the current one.</summary>
    private sealed class Relay(LineScorer scorer) : IProgress<ScoreProgress>
    {
        public void Report(ScoreProgress value)
        {
            ScoreProgress before = scorer._before;
            scorer._now = new ScoreProgress(
                before.Texts + value.Texts,
                before.Tokens + value.Tokens,
                before.ComputedTokens + value.ComputedTokens,
                before.Elapsed + value.Elapsed);
            scorer._progress?.Report(scorer._now);
        }
    }
}
