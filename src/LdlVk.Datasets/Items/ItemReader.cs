using System.Text.Json;

namespace LdlVk.Datasets.Items;

/// <summary>
/// Reads an item from a line of a file, a row of Parquet or a request. Its fields decide what it is. A field that would change the text is
/// used or an error; others, such as ids, sources and scores, are ignored. The forms are listed in docs/datasets.md.
/// </summary>
/// <param name="fields">Reads the fields and creates the errors.</param>
/// <param name="names">The fields of an item's parts; null for the usual ones.</param>
public sealed class ItemReader(JsonFields fields, ItemFields? names = null)
{
    private const string Forms =
        "Use messages; prompt and response; prompt and responses; prompt and steps; prompt, chosen and rejected; text; or input_ids.";

    /// <summary>Fields that templates write into the text, and that no supported template takes.</summary>
    private static readonly string[] Unsupported =
    [
        "tools", "functions", "documents", ItemFields.Context, "knowledge", "passage", "passages", "background", "assistant_prefix",
        "images", "image", "videos", "audios", "audio",
    ];

    private readonly ItemFields _names = names ?? ItemFields.Usual;

    /// <summary>Reads an item.</summary>
    /// <param name="item">The object.</param>
    /// <param name="maxResponses">Maximum number of responses.</param>
    public Item Read(JsonElement item, int maxResponses)
    {
        if (item.ValueKind != JsonValueKind.Object) throw fields.Wrong(item, fields.Subject, "an object {…}");
        if (!_names.IsMap) Refuse(item);
        Part? ids = One(item, ItemPart.InputIds), text = One(item, ItemPart.Text);
        Part[]? numbered = _names.IsMap ? null : NumberedResponses.Find(item, fields, maxResponses);
        LabeledPair? pair = numbered is null ? LabeledPair.Find(item, _names) : null;
        Part? chosen = pair is null ? One(item, ItemPart.Chosen) : null, rejected = pair is null ? One(item, ItemPart.Rejected) : null;
        Part? messages = One(item, ItemPart.Messages), prompt = One(item, ItemPart.Prompt), input = One(item, ItemPart.Input);
        Part? response = One(item, ItemPart.Response), responses = One(item, ItemPart.Responses);
        // Steps that are no texts, such as their number, cannot change the text.
        Part? steps = One(item, ItemPart.Steps) is { } list && IsSteps(list.Value) ? list : null;
        Part? positions = One(item, ItemPart.StepPositions);
        Part?[] given = [messages, prompt, input, response, responses, chosen, rejected, text, ids, steps, numbered?[0]];
        if (ids is { } tokens)
        {
            Item read = Only(tokens, given) with
            {
                Ids = fields.Ids(tokens.Value, tokens.Name),
                StepPositions = positions is { } ends ? fields.Ids(ends.Value, ends.Name) : null,
                Shape = $"token ids: {tokens.Name}{(positions is { } also ? $", {also.Name}" : "")}",
            };
            if (!_names.IsMap) TokenizerFields.Check(fields, item, read.Ids!.Length);
            return read;
        }

        if (positions is { } alone)
            throw fields.Error($"{alone.Name} has indices into input_ids, which {fields.Subject} lacks. Give steps as a list of strings.");
        if (text is { } whole)
            return Only(whole, given) with
            {
                Templated = fields.String(whole.Value, whole.Name), Shape = $"texts with their template: {whole.Name}",
            };

        ItemPrompt before = new(fields, item, _names, prompt, input);
        if (pair is not null || chosen is not null || rejected is not null)
        {
            PairReader pairs = new(fields, before, messages, maxResponses);
            Together(response, responses, chosen ?? (pair is null ? null : new Part(pair.First.Name, pair.First.Value)));
            return pair is not null ? pairs.Read(pair) : pairs.Read(chosen, rejected);
        }

        if (numbered is [var one, ..])
        {
            foreach (Part? other in (Part?[])[response, responses])
                if (other is { } more) throw NotTogether([one, more]);
            return before.Item([.. numbered.Select(part => before.Complete(part, messages))], "prompts with numbered responses",
                [one, numbered[^1]], isList: true) with
            {
                Preference = NumberedResponses.Preference(item, fields, numbered.Length),
            };
        }

        Together(response, responses, null);
        if (steps is { } parts && (parts.Value.GetArrayLength() > 0 || (response ?? responses) is null))
            return (response ?? responses) is { } other ? throw NotTogether([other, parts]) : before.Stepped(parts, messages, maxResponses);

        if (response is { } single) return before.Item([before.Complete(single, messages)], "prompts with a response", [single]);
        if (responses is { } many)
            return before.Item(before.Responses(many, messages, maxResponses), "prompts with several responses", [many], isList: true);
        if (messages is { } conversation) return before.Conversation(conversation);
        if (steps is null && One(item, ItemPart.Steps) is { } wrong && before.Given is not null)
        {
            string found = wrong.Value.ValueKind == JsonValueKind.Array
                ? "holds other values than strings" : $"is {JsonFields.Kind(wrong.Value)}";
            throw fields.Error($"{wrong.Name} {found}. It must be a list of strings, one for each step.");
        }

        throw fields.Error(before.Given is { } name
            ? $"{fields.Subject} has {name}, which is not enough. {Forms}"
            : $"{fields.Subject} has none of the {(_names.IsMap ? "fields that the map names" : "known fields")}{Others(item)}. {Forms}");

        void Together(Part? one, Part? several, Part? pair)
        {
            if (one is { } a && several is { } b) throw NotTogether([a, b]);
            if (pair is { } c && (one ?? several) is { } other && !ItemPrompt.IsIn(other.Value, item, ["chosen", "rejected"]))
                throw NotTogether([c, other]);
        }
    }

    /// <summary>Reads a prompt and its two responses, which are in fields of given names.</summary>
    /// <param name="item">The object.</param>
    /// <param name="first">The field of the first response.</param>
    /// <param name="second">The field of the second response.</param>
    public Item ReadTwo(JsonElement item, string first, string second)
    {
        Refuse(item);
        Part a = new(first, fields.Get(item, first)), b = new(second, fields.Get(item, second));
        foreach (ItemPart part in (ItemPart[])[ItemPart.Response, ItemPart.Responses, ItemPart.Chosen, ItemPart.Rejected])
            if (One(item, part) is { } other) throw NotTogether([a, b, other]);
        ItemPrompt before = new(fields, item, _names, One(item, ItemPart.Prompt), One(item, ItemPart.Input));
        Part? messages = One(item, ItemPart.Messages);
        return before.Item([before.Complete(a, messages), before.Complete(b, messages)], "pairs", [a, b], isList: true);
    }

    /// <summary>Reads a prompt and the steps of its response, which are in fields of given names.</summary>
    /// <param name="item">The object.</param>
    /// <param name="prompt">The field of the user's message.</param>
    /// <param name="steps">The field of the steps, a list of strings.</param>
    /// <param name="clean">Changes each step before it is read; null for nothing.</param>
    public Item ReadSteps(JsonElement item, string prompt, string steps, Func<string, string>? clean = null)
    {
        Refuse(item);
        Part before = new(prompt, fields.Get(item, prompt)), list = new(steps, fields.Get(item, steps));
        fields.String(before.Value, prompt);
        foreach (ItemPart part in (ItemPart[])[ItemPart.Messages, ItemPart.Input, ItemPart.Response, ItemPart.Responses, ItemPart.Chosen,
            ItemPart.Rejected, ItemPart.Text, ItemPart.InputIds, ItemPart.Steps, ItemPart.StepPositions])
            if (One(item, part) is { } other && other.Name != steps) throw NotTogether([before, list, other]);
        return new ItemPrompt(fields, item, _names, before, null).Stepped(list, clean);
    }

    /// <summary>Whether a value is a list of strings, or of lists; an empty one is a response without steps.</summary>
    private static bool IsSteps(JsonElement value) => value.ValueKind == JsonValueKind.Array
        && value.EnumerateArray().All(step => step.ValueKind is JsonValueKind.String or JsonValueKind.Array);

    private Item Only(Part part, Part?[] given)
    {
        Part[] all = [.. given.OfType<Part>()];
        return all.Length == 1 ? new Item() : throw NotTogether(all);
    }

    private Exception NotTogether(Part[] parts) =>
        fields.Error($"{fields.Subject} has {string.Join(" and ", parts.Select(p => p.Name))}, which do not go together. {Forms}");

    private Part? One(JsonElement item, ItemPart part)
    {
        IReadOnlyList<(string Name, JsonElement Value)> found = _names.Find(item, part);
        if (found.Count == 0) return null;
        if (found.Skip(1).FirstOrDefault(f => !ItemFields.AreEqual(f.Value, found[0].Value)) is { Name: { } other })
            throw fields.Error($"{fields.Subject} has {found[0].Name} and {other}, which differ, and only one of them can be read.");
        return new Part(found[0].Name, found[0].Value);
    }

    private void Refuse(JsonElement item) => fields.Refuse(
        item,
        Unsupported.Where(name => name != ItemFields.Context || ItemFields.MessagesBefore(item) is null),
        name => $"{name} would be a part of the text, and is not supported. Remove it, or put it into a message.");

    /// <summary>Names the fields of an item that has none of the known ones.</summary>
    private static string Others(JsonElement item)
    {
        string[] all = [.. item.EnumerateObject().Select(property => property.Name).Where(name => name != "id")];
        if (all.Length == 0) return "";
        string some = string.Join(", ", all.Take(8).Select(name => name.Length <= 40 ? name : $"{name.AsSpan(0, 40)}…"));
        return $" (it has {some}{(all.Length > 8 ? ", …" : "")})";
    }
}

/// <summary>A field of an item.</summary>
internal readonly record struct Part(string Name, JsonElement Value)
{
    /// <summary>The field with its type, for the description of an item.</summary>
    public string Described => MessageReader.IsList(Value) ? $"{Name}[messages]"
        : Value.ValueKind == JsonValueKind.Array ? $"{Name}[list]" : Name;
}
