using System.Runtime.CompilerServices;
using System.Text;

namespace LdlVk.Runtime.Devices;

/// <summary>
/// A message that is written only if a check fails. With short texts, the messages of segments that are right took 15 % of the host's time.
/// </summary>
[InterpolatedStringHandler]
internal readonly struct CheckMessage
{
    private readonly StringBuilder? _text;

    /// <summary>Begins an interpolated string; called by the compiler.</summary>
    /// <param name="literalLength">Length of its constant parts.</param>
    /// <param name="formattedCount">Number of its values.</param>
    /// <param name="condition">Whether the check passes.</param>
    /// <param name="isNeeded">Whether the message is needed; its values are not computed otherwise.</param>
    public CheckMessage(int literalLength, int formattedCount, bool condition, out bool isNeeded)
    {
        isNeeded = !condition;
        if (isNeeded) _text = new StringBuilder(literalLength + (8 * formattedCount));
    }

    /// <summary>Appends a constant part.</summary>
    public void AppendLiteral(string text) => _text!.Append(text);

    /// <summary>Appends a value.</summary>
    public void AppendFormatted<T>(T value) => _text!.Append(value);

    /// <inheritdoc/>
    public override string ToString() => _text?.ToString() ?? "";
}
