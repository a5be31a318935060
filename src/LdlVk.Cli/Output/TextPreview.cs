using LdlVk.Datasets.Lines;

namespace LdlVk.Cli.Output;

/// <summary>Shows the first texts of a run as the model reads them (--show-text).</summary>
/// <param name="terminal">Its standard error receives the texts.</param>
/// <param name="count">Number of texts to show.</param>
internal sealed class TextPreview(Terminal terminal, int count)
{
    private int _left = count;

    /// <summary>Passes lines on, and shows their texts while there are some to show.</summary>
    public IEnumerable<InputLine> Show(IEnumerable<InputLine> lines, RewardModel model) => _left == 0 ? lines : lines.Select(line =>
    {
        foreach (string text in Texts(line, model).Take(_left))
        {
            _left--;
            terminal.Error.WriteLine($"--- text of {line.Id}:\n{text}");
        }

        return line;
    });

    private static IEnumerable<string> Texts(InputLine line, RewardModel model)
    {
        if (line.Item.Ids is { } ids) return [$"token ids {string.Join(' ', ids)}"];
        return line.Item.Templated is { } text ? [model.Complete(text)] : line.Item.Conversations.Select(c => Rendered(model, c));
    }

    private static string Rendered(RewardModel model, Conversation conversation)
    {
        try
        {
            return model.Render(conversation);
        }
        catch (InputException e)
        {
            return $"(none: {e.Message})";
        }
    }
}
