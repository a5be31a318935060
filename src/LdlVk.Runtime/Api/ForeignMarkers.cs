namespace LdlVk;

/// <summary>What happens to a text with a marker of another model's chat template, such as <c>&lt;|im_start|&gt;</c> for Gemma.</summary>
public enum ForeignMarkers
{
    /// <summary>It is scored, and the first one is warned of.</summary>
    Warn,

    /// <summary>It is refused.</summary>
    Refuse,
}
