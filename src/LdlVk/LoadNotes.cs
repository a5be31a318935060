using LdlVk.Runtime.Formatting;

namespace LdlVk;

/// <summary>What the user should know about how a checkpoint was understood.</summary>
internal static class LoadNotes
{
    /// <summary>A note that the checkpoint has tensors which nothing reads; null if it has none.</summary>
    /// <param name="unused">Their names.</param>
    public static Notice? Of(IReadOnlyList<string> unused)
    {
        if (unused.Count == 0) return null;
        string some = string.Join(", ", unused.Take(3).Select(Readable.Quoted)) + (unused.Count > 3 ? ", …" : "");
        return $"{Readable.Plural(unused.Count, "tensor")} of the checkpoint {(unused.Count == 1 ? "is" : "are")} not read, because "
            + $"neither the backbone nor the head has such: {some}.";
    }

    /// <summary>
    /// A note that the head reads nothing of a response, which is so if the padding token stands in the chat template and the model's code
    /// reads the token before the first padding; null if it reads the response.
    /// </summary>
    /// <param name="encode">Returns the ids of a conversation, or why there are none.</param>
    /// <param name="read">Returns the index of the token that is read.</param>
    public static Notice? OfReading(Func<Conversation, TokenizedText> encode, Func<int[], int> read)
    {
        TokenizedText one = encode(new Conversation("Q", "A b")), other = encode(new Conversation("Q", "Cd"));
        if (one.Error is not null || other.Error is not null) return null;
        int[] first = Read(one.Ids), second = Read(other.Ids);
        return !first.SequenceEqual(second) ? null
            : (Notice)$"The head reads nothing of a response: the model's code reads the token before the first padding, and "
            + $"pad_token_id of config.json is a token of the chat template. All responses to a prompt have one score. Compare "
            + $"pad_token_id with the original's.";

        int[] Read(int[] ids) => ids[..(read(ids) + 1)];
    }
}
