namespace LdlVk;

/// <summary>How a model's own code marks the ends of a response's steps.</summary>
public enum StepMarks
{
    /// <summary>Not at all: the model scores whole texts.</summary>
    None,

    /// <summary>By positions alone: its authors published no way to write steps.</summary>
    Positions,

    /// <summary>By the token <c>&lt;extra_0&gt;</c> behind each step, in the chat template (Qwen2.5-Math-PRM).</summary>
    Token,

    /// <summary>
    /// By a line break behind each step, without a chat template; a response's own line breaks are its steps (Skywork-o1-Open-PRM).
    /// </summary>
    LineBreaks,
}
