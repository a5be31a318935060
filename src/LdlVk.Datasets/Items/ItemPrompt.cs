using System.Globalization;
using System.Text.Json;

namespace LdlVk.Datasets.Items;

/// <summary>
/// What an item has before its responses: a prompt with Alpaca's input, earlier turns and a system message. A list of messages that begins
/// with another role than the assistant's is a whole conversation, to which the prompt is not added once more.
/// </summary>
internal sealed class ItemPrompt
{
    private readonly JsonFields _fields;
    private readonly Part? _prompt, _system, _history, _input;
    private readonly Message[] _messages;
    private string? _doubt;

    public ItemPrompt(JsonFields fields, JsonElement item, ItemFields names, Part? prompt, Part? input)
    {
        _fields = fields;
        _prompt = prompt ?? input;
        if (prompt is not null && input is { } below && ItemFields.HoldsAnything(below.Value)) _input = input;
        _system = Optional(names.Find(item, ItemPart.System));
        _history = Optional(names.Find(item, ItemPart.History));
        if (_input is { } more && _prompt is { } first && first.Name != "instruction" && !names.IsMap)
            throw fields.Error($"{fields.Subject} has {first.Name} and {more.Name}. Only an instruction has an input below it.");
        _messages = Before();
    }

    /// <summary>The field that holds the prompt; null if there is none.</summary>
    public string? Given => _prompt?.Name;

    /// <summary>Creates an item of conversations that this prompt is a part of.</summary>
    public Item Item(IReadOnlyList<Conversation> conversations, string kind, Part[] parts, bool isList = false) => new()
    {
        Prompt = conversations[0].Messages.SkipLast(1).Where(m => m.Role == "user").Select(m => m.Content).LastOrDefault(""),
        Conversations = conversations,
        HasResponses = isList,
        Shape = $"{kind}: {string.Join(", ", Fields().Concat(parts).Select(p => p.Described))}",
        Doubt = _doubt,
    };

    /// <summary>Reads a list of messages, which is a whole conversation, or the answer to the prompt.</summary>
    public Item Conversation(Part part)
    {
        Message[] messages = _fields.Messages(part.Value, part.Name);
        Conversation conversation = _prompt is null || (messages.Length > 0 && !MessageReader.IsAssistant(messages[0].Role))
            ? Whole(messages, part.Name)
            : Complete(part, null);
        return Item([conversation], "conversations", [part]) with { Prompt = null };
    }

    /// <summary>Returns the conversation that ends with a response: a string, a message, or a list of messages.</summary>
    /// <param name="part">The response.</param>
    /// <param name="before">The messages before the response, if the item has them in a field of their own.</param>
    public Conversation Complete(Part part, Part? before) => Complete(part.Value, part.Name, before);

    /// <inheritdoc cref="Complete(Part, Part?)"/>
    public Conversation Complete(JsonElement value, string name, Part? before)
    {
        Message[] response = value.ValueKind switch
        {
            JsonValueKind.Array when value.GetArrayLength() > 0 && value[0].ValueKind != JsonValueKind.Object =>
                throw _fields.Wrong(value, name, "a string or a list of messages"),
            JsonValueKind.Array => _fields.Messages(value, name),
            JsonValueKind.Object when MessageReader.IsList(value) => _fields.Messages(value, name),
            JsonValueKind.Object => [new MessageReader(_fields).One(value, name)],
            _ => Response(_fields.String(value, name)),
        };
        if (response.Length == 0) throw _fields.Error($"{name} is empty.");
        return After(response, name, before);
    }

    /// <summary>Returns an item of a response in steps, or of several such responses.</summary>
    public Item Stepped(Part part, Part? before, int max)
    {
        JsonElement[] items = [.. part.Value.EnumerateArray()];
        bool many = items.Length > 0 && items[0].ValueKind == JsonValueKind.Array;
        if (many) _fields.CheckLength(part.Value, part.Name, max);
        Conversation[] conversations = many
            ? [.. items.Select((steps, i) => InSteps(steps, string.Create(CultureInfo.InvariantCulture, $"{part.Name}[{i}]"), before))]
            : [InSteps(part.Value, part.Name, before)];
        return Item(conversations, many ? "prompts with several responses in steps" : "prompts with a response in steps", [part], many);
    }

    /// <summary>Reads one response as a list of steps, each of which is changed before.</summary>
    public Item Stepped(Part part, Func<string, string>? clean) =>
        Item([InSteps(part.Value, part.Name, null, clean)], "prompts with a response in steps", [part]);

    private Conversation InSteps(JsonElement value, string name, Part? before, Func<string, string>? clean = null)
    {
        List<string> steps = _fields.StringList(value, name, int.MaxValue);
        if (clean is not null) steps = [.. steps.Select(clean)];
        if (steps.Count == 0) throw _fields.Error($"{name} is empty: there are no steps to score.");
        int empty = steps.FindIndex(string.IsNullOrWhiteSpace);
        if (empty >= 0) throw _fields.Error($"{name}[{empty}] is empty: every step needs text.");
        return After([new Message("assistant", string.Join('\n', steps))], name, before) with { Steps = steps };
    }

    /// <summary>Returns the conversation that ends with the messages of a response.</summary>
    private Conversation After(Message[] response, string name, Part? before)
    {
        if (!MessageReader.IsAssistant(response[0].Role))
        {
            if (before is { } other && !_fields.Messages(other.Value, other.Name).SequenceEqual(response))
                throw _fields.Error($"{_fields.Subject} has {other.Name} and {name}, which are two different conversations.");
            return Whole(response, name);
        }

        IReadOnlyList<Message> prompt = before is { } messages
            ? Whole(_fields.Messages(messages.Value, messages.Name), messages.Name).Messages
            : _messages;
        if (prompt.Count == 0 || prompt.All(m => m.Role == "system"))
            throw _fields.Error($"{_fields.Subject} has {name}, which is not enough: there is no prompt. "
                + $"Give prompt, or a list of messages that begins with the user's.");
        if (MessageReader.IsAssistant(prompt[^1].Role))
            throw _fields.Error($"{before?.Name ?? Given} ends with an assistant's message, and {name} is another one.");
        return new Conversation([.. prompt, .. response]);
    }

    /// <summary>Returns a conversation for each response of a list of strings, messages, or objects such as UltraFeedback's.</summary>
    public Conversation[] Responses(Part part, Part? before, int max)
    {
        JsonElement list = part.Value;
        if (list.ValueKind == JsonValueKind.Object && list.TryGetProperty("response", out JsonElement inner)) list = inner;
        JsonElement.ArrayEnumerator items = _fields.List(list, part.Name);
        _fields.CheckLength(list, part.Name, max);
        if (list.GetArrayLength() == 0) throw _fields.Error($"{part.Name} is empty.");
        List<Conversation> conversations = new(list.GetArrayLength());
        foreach (JsonElement item in items)
        {
            string at = string.Create(CultureInfo.InvariantCulture, $"{part.Name}[{conversations.Count}]");
            conversations.Add(Complete(Inner(item, ref at), at, before));
        }

        return [.. conversations];
    }

    /// <summary>Whether a value is that of one of an object's fields.</summary>
    public static bool IsIn(JsonElement value, JsonElement item, string[] names) =>
        names.Any(name => item.TryGetProperty(name, out JsonElement other) && ItemFields.AreEqual(value, other));

    /// <summary>Returns the text of a response that is an object with other facts beside it.</summary>
    private JsonElement Inner(JsonElement item, ref string at)
    {
        if (item.ValueKind != JsonValueKind.Object || MessageReader.IsList(item)) return item;
        foreach (string name in (string[])["response", "answer", "completion", "output", "text"])
        {
            if (!ItemFields.IsGiven(item, name)) continue;
            at = $"{at}.{name}";
            return item.GetProperty(name);
        }

        return item;
    }

    /// <summary>Reads a response that is a string; one that is a transcript is a whole conversation.</summary>
    private static Message[] Response(string text) => Transcript.Is(text) ? [.. Transcript.Read(text)] : [new Message("assistant", text)];

    /// <summary>Returns a conversation that is whole, after a check of the fields that must be in it.</summary>
    private Conversation Whole(Message[] messages, string name)
    {
        if (_history is { } history) throw _fields.Error($"{_fields.Subject} has {history.Name} and {name}. A list of messages is whole.");
        if (_prompt is { } prompt)
        {
            bool isList = prompt.Value.ValueKind is JsonValueKind.Array or JsonValueKind.Object;
            if (isList && !messages.Take(_messages.Length).SequenceEqual(_messages))
                throw _fields.Error($"{name} is a whole conversation that does not begin with {prompt.Name}.");
            string text = isList ? "" : _messages[^1].Content.Trim();
            if (!isList && messages.All(m => m.Content.Trim() != text))
                _doubt = $"{prompt.Name} is not in {name}, which is a whole conversation and was scored alone.";
        }

        return new Conversation(WithSystem(messages, name));
    }

    /// <summary>Returns messages with the system message that stands beside them.</summary>
    public Message[] WithSystem(Message[] messages, string name)
    {
        if (_system is not { } field) return messages;
        Message system = new("system", _fields.String(field.Value, field.Name));
        if (messages is not [{ Role: "system" or "developer" } first, ..]) return [system, .. messages];
        return first.Content == system.Content
            ? messages
            : throw _fields.Error($"{field.Name} differs from the system message of {name}.");
    }

    private IEnumerable<Part> Fields()
    {
        foreach (Part? part in (Part?[])[_system, _history, _prompt, _input])
            if (part is { } given) yield return given;
    }

    /// <summary>Returns the messages before the response; empty if there is no prompt.</summary>
    private Message[] Before()
    {
        if (_prompt is not { } prompt) return [];
        if (prompt.Value.ValueKind is JsonValueKind.Array or JsonValueKind.Object)
        {
            if ((_history ?? _input) is { } other)
                throw _fields.Error($"{prompt.Name} is a list of messages, so {other.Name} has no place.");
            return WithSystem(_fields.Messages(prompt.Value, prompt.Name), prompt.Name);
        }

        string text = _fields.String(prompt.Value, prompt.Name);
        // LLaMA-Factory and Stanford's Alpaca put the input below the instruction.
        if (_input is { } input) text = $"{text}\n{_fields.String(input.Value, input.Name)}";
        if (text.StartsWith("\n\nHuman:", StringComparison.Ordinal))
        {
            if (_history is { } turns) throw _fields.Error($"{prompt.Name} is a transcript, so {turns.Name} has no place.");
            return WithSystem(Opened(text, prompt.Name), prompt.Name);
        }

        return WithSystem([.. Turns(), new Message("user", text)], prompt.Name);
    }

    /// <summary>Reads a transcript that ends with the opening of the assistant's turn.</summary>
    private Message[] Opened(string text, string name)
    {
        List<Message> messages = Transcript.Read(text);
        if (messages[^1] is { Role: "assistant", Content: "" }) messages.RemoveAt(messages.Count - 1);
        return messages[^1].Role == "user"
            ? [.. messages]
            : throw _fields.Error($"{name} is a transcript that ends with an assistant's turn, where the response should begin.");
    }

    private List<Message> Turns()
    {
        List<Message> messages = [];
        if (_history is not { } history) return messages;
        int i = 0;
        foreach (JsonElement turn in _fields.List(history.Value, history.Name))
        {
            string at = string.Create(CultureInfo.InvariantCulture, $"{history.Name}[{i++}]");
            List<string> both = _fields.StringList(turn, at, 2);
            if (both.Count != 2) throw _fields.Error($"{at} has {both.Count} items, not a user's and an assistant's message.");
            messages.Add(new Message("user", both[0]));
            messages.Add(new Message("assistant", both[1]));
        }

        return messages;
    }

    /// <summary>Returns a field that says anything; null otherwise.</summary>
    private Part? Optional(IEnumerable<(string Name, JsonElement Value)> found)
    {
        (string Name, JsonElement Value)[] all = [.. found.Where(f => ItemFields.HoldsAnything(f.Value))];
        if (all.Length == 0) return null;
        if (all.Length > 1 && !ItemFields.AreEqual(all[0].Value, all[1].Value))
            throw _fields.Error($"{_fields.Subject} has {all[0].Name} and {all[1].Name}, which differ.");
        return new Part(all[0].Name, all[0].Value);
    }
}
