namespace LdlVk;

/// <summary>How the scores of a text's steps become its score.</summary>
public enum StepAggregation
{
    /// <summary>The last step's score.</summary>
    Last,

    /// <summary>The smallest score.</summary>
    Min,

    /// <summary>The mean of the scores.</summary>
    Mean,

    /// <summary>The product of the scores.</summary>
    Prod,
}
