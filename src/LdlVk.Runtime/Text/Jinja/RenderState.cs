using System.Runtime.CompilerServices;

namespace LdlVk.Runtime.Text.Jinja;

/// <summary>What one rendering has left: of work, of depth. And the date that it prints.</summary>
/// <remarks>
/// A unit of work is a node of the template, four characters that are made, or half an element of a list. The limit bounds time (about a
/// second) and memory (about 100 MB), whatever a template does.
/// </remarks>
internal sealed class RenderState(DateTime now, long work)
{
    private readonly long _limit = work;
    private long _left = work;

    /// <summary>What <c>strftime_now</c> prints.</summary>
    public DateTime Now { get; } = now;

    /// <summary>Whether the template asked for the date.</summary>
    public bool HasPrintedDate { get; set; }

    public void Step()
    {
        if (--_left < 0) throw Spent();
    }

    /// <summary>Pays for a string.</summary>
    public MarkedText Made(MarkedText text)
    {
        Spend(text.Length / 4);
        return text;
    }

    /// <summary>Pays for a list.</summary>
    public ListValue Made(ListValue list)
    {
        Spend(list.Items.Count * 2L);
        return list;
    }

    public void Spend(long work)
    {
        _left -= work;
        if (_left < 0) throw Spent();
    }

    /// <summary>Ends a template that calls itself, or nests values, without end.</summary>
    public static void Descend()
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw new JinjaException("The template calls itself, or nests values, too deeply.", JinjaFault.Limit);
    }

    private JinjaException Spent() =>
        new($"The template did not end within {_limit:N0} steps, so it may loop without end.", JinjaFault.Limit);
}
