using System.Text.Json;

namespace LdlVk.Datasets.Items;

/// <summary>Reads the responses of a preference: chosen and rejected, or two with a label.</summary>
/// <param name="fields">Creates the errors.</param>
/// <param name="before">What comes before the responses.</param>
/// <param name="messages">
/// The item's list of messages: those before the responses, or one of the conversations; null if there is none.
/// </param>
/// <param name="maxResponses">Maximum number of responses.</param>
internal sealed class PairReader(JsonFields fields, ItemPrompt before, Part? messages, int maxResponses)
{
    /// <summary>Reads chosen and rejected, each a response, a conversation, or a list of responses.</summary>
    public Item Read(Part? chosen, Part? rejected)
    {
        if (chosen is not { } good || rejected is not { } bad)
            throw fields.Error(
                $"{fields.Subject} has no {(chosen is null ? "chosen" : "rejected")}. Pairs have prompt, chosen and rejected.");
        bool isList = IsList(good.Value) || IsList(bad.Value);
        Part? context = Context();
        Conversation[] first = Responses(good, isList, context), second = Responses(bad, isList, context);
        CheckMessages([.. first, .. second], context);
        return before.Item([.. first, .. second], isList ? "best of several" : "preference pairs", [good, bad], isList: true) with
        {
            Preference = new Preference([.. Enumerable.Range(0, first.Length)], isList),
        };
    }

    /// <summary>Reads two responses, whose order stays that of the fields.</summary>
    public Item Read(LabeledPair pair)
    {
        Part a = new(pair.First.Name, pair.First.Value), b = new(pair.Second.Name, pair.Second.Value);
        Part? context = Context();
        Conversation[] both = [before.Complete(a, context), before.Complete(b, context)];
        CheckMessages(both, context);
        return before.Item(both, "preference pairs with a label", [a, b], isList: true) with { Preference = pair.Preference };
    }

    private Conversation[] Responses(Part part, bool isList, Part? context)
    {
        if (isList) return before.Responses(part, context, maxResponses);
        Conversation conversation = before.Complete(part, context);
        return MessageReader.IsAssistant(conversation.Messages[^1].Role)
            ? [conversation]
            : throw fields.Error($"{part.Name} does not end with an assistant's message.");
    }

    /// <summary>Returns the messages that come before the responses: those that do not end with the assistant's.</summary>
    private Part? Context() =>
        messages is { } list && fields.Messages(list.Value, list.Name) is [.., var last] && !MessageReader.IsAssistant(last.Role)
            ? list
            : null;

    private void CheckMessages(Conversation[] conversations, Part? context)
    {
        if (messages is not { } list || context is not null) return;
        Message[] read = before.WithSystem(fields.Messages(list.Value, list.Name), list.Name);
        if (!conversations.Any(c => c.Messages.SequenceEqual(read)))
            throw fields.Error($"{list.Name} is none of the conversations of the pair, so it is not clear what to score.");
    }

    /// <summary>Whether a value is a list of responses: of strings, or of lists of messages.</summary>
    private static bool IsList(JsonElement value) =>
        value.ValueKind == JsonValueKind.Array
        && (value.GetArrayLength() == 0 || value[0].ValueKind is JsonValueKind.String or JsonValueKind.Array);
}
