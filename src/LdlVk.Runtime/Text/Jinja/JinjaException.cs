namespace LdlVk.Runtime.Text.Jinja;

/// <summary>What ended a template.</summary>
internal enum JinjaFault
{
    /// <summary>The template is not Jinja, or uses a part of it that is not here.</summary>
    Syntax,

    /// <summary>The template called <c>raise_exception</c>: it refuses the conversation.</summary>
    Refused,

    /// <summary>A value is undefined, of a wrong type, or not allowed: Python would raise an error.</summary>
    Failed,

    /// <summary>A limit of work or depth is reached.</summary>
    Limit,
}

/// <summary>A template that cannot be read, or that cannot render these variables.</summary>
internal sealed class JinjaException(string message, JinjaFault fault = JinjaFault.Failed, int line = 0) : Exception(message)
{
    public JinjaFault Fault { get; } = fault;

    /// <summary>The line of the template, counted from 1; 0 until a statement adds its own.</summary>
    public int Line { get; } = line;

    public JinjaException At(int at) => Line > 0 ? this : new JinjaException(Message, Fault, at);
}
