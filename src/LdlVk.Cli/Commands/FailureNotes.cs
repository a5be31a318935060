using LdlVk.Cli.Output;
using LdlVk.Evaluation.Benchmarks;

namespace LdlVk.Cli.Commands;

/// <summary>Names the first lines that could not be scored.</summary>
internal sealed class FailureNotes(Terminal terminal)
{
    /// <summary>Maximum number of failed lines that are named individually.</summary>
    private const int MaxNamed = 10;

    private long _failed;

    /// <summary>Names a line, if it is one of the first.</summary>
    public void Say(FailedLine failure)
    {
        _failed++;
        if (_failed <= MaxNamed) terminal.Say($"line {failure.Number} (counted from 0) is left out: {failure.Error}");
        if (_failed == MaxNamed + 1) terminal.Say("more lines are left out.");
    }
}
