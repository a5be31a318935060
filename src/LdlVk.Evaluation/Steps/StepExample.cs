namespace LdlVk.Evaluation.Steps;

/// <summary>The scores of one line with labels of steps.</summary>
/// <param name="Line">Index of the line in the input, from 0.</param>
/// <param name="Id">Its id as JSON.</param>
/// <param name="Group">ProcessBench's part, or PRMBench's classification; null if the line names none.</param>
/// <param name="IsEveryStep">Whether every wrong step is labeled, instead of the first one.</param>
/// <param name="Wrong">Indices of the wrong steps, from 0.</param>
/// <param name="Scores">The score of each step.</param>
public sealed record StepExample(long Line, string Id, string? Group, bool IsEveryStep, IReadOnlyList<int> Wrong, float[] Scores)
{
    /// <summary>Index of the first step whose score is not above the threshold; −1 for none.</summary>
    public int Prediction(double threshold) => Array.FindIndex(Scores, score => !(score > threshold));

    /// <summary>Whether the first wrong step, or that there is none, is found (ProcessBench's <c>match</c>).</summary>
    public bool IsMatch(double threshold) => Prediction(threshold) == (Wrong.Count > 0 ? Wrong.Min() : -1);
}
