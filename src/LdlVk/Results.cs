namespace LdlVk;

/// <summary>The outcome for one of many texts: a reward, or why there is none.</summary>
/// <param name="Index">Number of the text in the input, from 0.</param>
/// <param name="Reward">The reward; null if the text could not be scored.</param>
/// <param name="Error">Why it could not be scored; null if it was.</param>
public sealed record ScoreResult(long Index, Reward? Reward, Notice? Error)
{
    /// <summary>The reward.</summary>
    /// <exception cref="InputException">The text could not be scored.</exception>
    public Reward Value => Reward ?? throw new InputException(Error!);
}

/// <summary>How far a run over many texts is.</summary>
/// <param name="Texts">Texts done.</param>
/// <param name="Tokens">Tokens of those texts, shared beginnings counted for each.</param>
/// <param name="ComputedTokens">Tokens that were computed: shared beginnings counted once.</param>
/// <param name="Elapsed">Time since the start.</param>
public readonly record struct ScoreProgress(long Texts, long Tokens, long ComputedTokens, TimeSpan Elapsed);

/// <summary>
/// How far scores are off that were computed in a fast mode, against <see cref="ComputeMode.Auto"/> with the same weights.
/// </summary>
/// <param name="Texts">Texts that were scored both ways.</param>
/// <param name="Mean">Mean difference of their scores.</param>
/// <param name="Largest">Largest difference.</param>
public sealed record ComputeError(int Texts, double Mean, double Largest)
{
    internal static ComputeError Between(Reward[] fast, Reward[] exact)
    {
        double[] errors = [.. fast.Zip(exact, (f, e) => Math.Abs((double)f.Score - e.Score))];
        return new ComputeError(errors.Length, errors.Average(), errors.Max());
    }
}

/// <summary>Which of two responses is better, and how sure the model is.</summary>
/// <param name="A">Reward of the first response.</param>
/// <param name="B">Reward of the second response.</param>
public sealed record Comparison(Reward A, Reward B)
{
    /// <summary>P(A ≻ B) = σ(score A − score B) (Bradley-Terry).</summary>
    public double ProbabilityAIsBetter => 1.0 / (1.0 + Math.Exp((double)B.Score - A.Score));
}

/// <summary>A response and its place.</summary>
/// <param name="Index">Number of the response in the input, from 0.</param>
/// <param name="Response">The response.</param>
/// <param name="Reward">Its reward.</param>
public sealed record RankedResponse(int Index, string Response, Reward Reward);
