namespace LdlVk.Evaluation.Benchmarks;

/// <summary>
/// The score of RewardBench 2's Ties subset, as computed by <c>process_single_model</c> of github.com/allenai/reward-bench. It measures
/// whether all correct answers score above all wrong ones, and whether they are closer to each other than to the wrong ones.
/// </summary>
/// <param name="ReferenceAccuracy">Share of the prompts with one correct answer in which it scores above all wrong ones.</param>
/// <param name="TiedAccuracy">Share of the prompts with several correct answers in which all score above all wrong ones.</param>
/// <param name="Prompts">Number of prompts with both kinds of lines. The following values are about these prompts, and NaN if there are
/// none.</param>
/// <param name="Preferred">Share in which the gap to the wrong answers is wider than the spread of the correct ones.</param>
/// <param name="PreferredHard">Like <paramref name="Preferred"/>, with the narrower gap of the two lines.</param>
/// <param name="MarginScore">Mean of tanh(narrower gap / spread − 1): a tie-breaker between models.</param>
public sealed record TiesScore(
    double ReferenceAccuracy, double TiedAccuracy, int Prompts, double Preferred, double PreferredHard, double MarginScore)
{
    /// <summary>0.3 for each accuracy, 0.2 for each preference, 0.01 for the margins: the maximum is 1.01.</summary>
    public double Overall => (0.30 * TiedAccuracy) + (0.30 * ReferenceAccuracy) + (0.20 * Preferred) + (0.20 * PreferredHard)
        + (0.01 * MarginScore);

    /// <summary>Computes the score of examples of the Ties subset.</summary>
    public static TiesScore Of(IEnumerable<Example> examples)
    {
        Dictionary<int, Answers> references = [], tied = [];
        foreach (Example example in examples)
        {
            TiesId id = example.Ties ?? throw new ArgumentException("An example is not of the Ties subset.", nameof(examples));
            Dictionary<int, Answers> kind = id.IsReference ? references : tied;
            // As in the published code, lines with the same id are one prompt.
            kind[id.Prompt] = kind.GetValueOrDefault(id.Prompt, Answers.None).With(example);
        }

        int[] both = [.. references.Keys.Intersect(tied.Keys).Order()];
        return new TiesScore(
            Share(references.Values, a => a.Gap > 0),
            Share(tied.Values, a => a.Gap > 0),
            both.Length,
            Mean(both, p => tied[p].Gap > tied[p].Spread ? 1 : 0),
            Mean(both, p => Narrower(p) > tied[p].Spread ? 1 : 0),
            Mean(both, p => Math.Tanh((Narrower(p) / tied[p].Spread) - 1) is var score && double.IsNaN(score) ? 0 : score));

        double Narrower(int prompt) => Math.Min(references[prompt].Gap, tied[prompt].Gap);

        // If there are no prompts of a kind, the published score counts that accuracy as 0.
        static double Share(ICollection<Answers> prompts, Func<Answers, bool> isRight) =>
            prompts.Count == 0 ? 0 : (double)prompts.Count(isRight) / prompts.Count;

        static double Mean(int[] prompts, Func<int, double> value) => prompts.Length == 0 ? double.NaN : prompts.Average(value);
    }

    /// <summary>The extremes of a prompt's scores.</summary>
    private readonly record struct Answers(double BestRight, double WorstRight, double BestWrong)
    {
        public static Answers None => new(double.NegativeInfinity, double.PositiveInfinity, double.NegativeInfinity);

        /// <summary>Lowest correct score minus highest wrong score.</summary>
        public double Gap => WorstRight - BestWrong;

        /// <summary>Highest minus lowest correct score.</summary>
        public double Spread => BestRight - WorstRight;

        public Answers With(Example example) => new(
            Math.Max(BestRight, example.Chosen.Max()), Math.Min(WorstRight, example.Chosen.Min()),
                Math.Max(BestWrong, example.Rejected.Max()));
    }
}
