namespace LdlVk.Scoring;

/// <summary>
/// Turns conversations whose last message has steps into token ids and the positions of the steps' ends, as a process reward model's own
/// code does. Thread-safe.
/// </summary>
/// <param name="text">The model's tokenizer and template.</param>
/// <param name="marks">How the model's code marks steps.</param>
/// <param name="separator">What separates the steps of a response that is one text; null for what the model's code takes.</param>
internal sealed class StepEncoder(TextEncoder text, StepMarks marks, string? separator)
{
    /// <summary>The token behind each step.</summary>
    private const string Token = "<extra_0>";

    private const string LineBreak = "\n";

    /// <summary>The ids of a conversation, with the positions of its steps.</summary>
    /// <exception cref="InputException">It has no steps, an empty one, or does not fit the model's format.</exception>
    public TokenizedText Encode(Conversation conversation, SpecialTokens typed)
    {
        if (conversation.Messages is not [.., { Role: "assistant" } response])
            throw new InputException("the conversation does not end with a response, so there are no steps to score.");
        IReadOnlyList<string>? steps = conversation.Steps ?? Split(response.Content);
        if (steps is not null) CheckSteps(steps);
        return marks switch
        {
            StepMarks.LineBreaks => WithLineBreaks(conversation.Messages, steps ?? response.Content.Split('\n')),
            StepMarks.Token => WithTokens(conversation, steps, typed),
            _ => throw NoWay(),
        };
    }

    /// <summary>The text of a conversation, with what marks the steps; one without a response has none.</summary>
    /// <exception cref="InputException">It has an empty step, or does not fit the model's format.</exception>
    public string Render(Conversation conversation)
    {
        if (conversation.Messages is not [.., { Role: "assistant" } response])
            return marks == StepMarks.LineBreaks && conversation.Messages is [{ Role: "user" } alone]
                ? Beginning(alone) : text.Render(conversation);
        IReadOnlyList<string>? steps = conversation.Steps ?? Split(response.Content);
        if (steps is not null) CheckSteps(steps);
        if (marks == StepMarks.Token) return text.Render(WithTokens(conversation, steps));
        if (marks != StepMarks.LineBreaks) throw NoWay();
        return Beginning(Question(conversation.Messages))
            + string.Concat((steps ?? response.Content.Split('\n')).Select(step => step + LineBreak));
    }

    /// <summary>bos, question and a line break. The bos token is written even where the tokenizer puts none in front of texts.</summary>
    private string Beginning(Message question) => text.BosText + question.Content + LineBreak;

    /// <summary>Returns ids with the positions of the step tokens among them; unchanged if the model has no such token.</summary>
    public TokenizedText Marked(TokenizedText encoded)
    {
        if (marks != StepMarks.Token || encoded.Steps is not null || !text.TryGetId(Token, out int id)) return encoded;
        int[] steps = [.. Enumerable.Range(0, encoded.Ids.Length).Where(i => encoded.Ids[i] == id)];
        return steps.Length == 0 ? encoded : encoded with { Steps = steps };
    }

    private IReadOnlyList<string>? Split(string response)
    {
        if (separator is null) return null;
        string[] steps = response.Split(separator);
        // A separator behind the last step ends it and begins no other.
        return steps is [.., _, ""] ? steps[..^1] : steps;
    }

    private static void CheckSteps(IReadOnlyList<string> steps)
    {
        if (steps.Count == 0) throw new InputException("the list of steps is empty.");
        for (int i = 0; i < steps.Count; i++)
            if (string.IsNullOrWhiteSpace(steps[i])) throw new InputException($"step {i} of {steps.Count} (counted from 0) is empty.");
    }

    /// <summary>
    /// Verifies the steps of a response that has step tokens of its own: none is empty, and none is without its token, since no score
    /// would be read behind it.
    /// </summary>
    private static void CheckMarked(string response)
    {
        string[] steps = response.Split(Token);
        if (steps.Length == 1) return;
        if (!string.IsNullOrWhiteSpace(steps[^1]))
            throw new InputException(
                $"the response ends with text behind its last {Token}, which is in no step. Put {Token} behind every step.");
        CheckSteps(steps[..^1]);
    }

    /// <summary>bos, question and a line break; then each step with the id of a line break behind it.</summary>
    private TokenizedText WithLineBreaks(IReadOnlyList<Message> messages, IReadOnlyList<string> steps)
    {
        Message question = Question(messages);
        int end = text.Encode(LineBreak)[^1];
        List<int> ids = [.. text.Encode(Beginning(question))], ends = [];
        foreach (string step in steps)
        {
            if (step.Length > 0) ids.AddRange(text.Encode(step));
            ends.Add(ids.Count);
            ids.Add(end);
        }

        return new TokenizedText([.. ids]) { Steps = [.. ends] };
    }

    private static Message Question(IReadOnlyList<Message> messages) =>
        messages is [{ Role: "user" } question, { Role: "assistant" }] ? question : throw new InputException(
            "this model's code takes one question and one response. Leave out other turns and the system message.");

    private static InputException NoWay() =>
        new("this model's authors published no way to write steps. Give input_ids with step_positions, a list of indices.");

    /// <summary>The conversation with the step token behind each step, which stands nowhere else in the response.</summary>
    private static Conversation WithTokens(Conversation conversation, IReadOnlyList<string>? steps)
    {
        if (steps is null)
        {
            CheckMarked(conversation.Messages[^1].Content);
            return conversation;
        }

        string marked = string.Concat(steps.Select(step => step + Token));
        int tokens = marked.Split(Token).Length - 1;
        if (tokens != steps.Count) throw Doubled(tokens, steps.Count);
        return new([.. conversation.Messages.SkipLast(1), new Message("assistant", marked)]);
    }

    /// <summary>
    /// The conversation in its template, with the step token behind each step. In the response that token is always one, so that steps can
    /// be marked where other special tokens stay text.
    /// </summary>
    private TokenizedText WithTokens(Conversation conversation, IReadOnlyList<string>? steps, SpecialTokens typed)
    {
        if (!text.TryGetId(Token, out _))
            throw new InputException($"the tokenizer has no token {Token}, which marks steps. Give input_ids with step_positions.");
        TokenizedText marked = Marked(new TokenizedText(text.EncodeMarked(WithTokens(conversation, steps), typed, Token)));
        return steps is null || marked.Steps?.Length == steps.Count ? marked : throw Doubled(marked.Steps?.Length ?? 0, steps.Count);
    }

    private static InputException Doubled(int tokens, int steps) =>
        new($"the text has {tokens} step tokens {Token} for {steps} steps: one stands in the prompt or in a step.");
}
