namespace LdlVk.Hub;

/// <summary>Takes apart the address of a repository's page, or of a page or file within it, as a browser shows it.</summary>
/// <param name="Hub">Address of the hub.</param>
/// <param name="Repository">The repository, as <c>owner/name</c>.</param>
/// <param name="Revision">Branch, tag or commit; null if the address names none.</param>
internal sealed record PageAddress(string Hub, string Repository, string? Revision)
{
    /// <summary>Words behind a repository's name that a revision follows, and those that none follows.</summary>
    private static readonly string[] Revisioned = ["tree", "blob", "resolve", "raw", "commits", "commit"],
        Others = ["discussions", "settings"];

    /// <summary>Hosts whose addresses people copy without https://, with the host that answers.</summary>
    private static readonly Dictionary<string, string> Hosts =
        new(StringComparer.OrdinalIgnoreCase) { ["huggingface.co"] = "huggingface.co", ["hf.co"] = "huggingface.co" };

    /// <summary>Returns an address with its scheme where it is one; otherwise null.</summary>
    public static string? Complete(string given)
    {
        if (given.Contains("://", StringComparison.Ordinal)) return given;
        string host = given.Split('/')[0];
        return Hosts.TryGetValue(host, out string? known) ? $"https://{known}{given[host.Length..]}" : null;
    }

    /// <summary>Reads an address.</summary>
    /// <param name="given">The address as given, for messages.</param>
    /// <param name="address">The address.</param>
    /// <exception cref="UsageException">It names no repository, or one of another kind.</exception>
    public static PageAddress Read(string given, Uri address)
    {
        string[] parts = address.AbsolutePath.Trim('/').Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (parts is ["api", "models", .. var listed]) parts = listed;
        if (parts is ["datasets" or "spaces", _, ..])
            throw new UsageException($"{given} is the page of a {parts[0][..^1]}, not of a model. Give the address of a model's page.");
        // From the third word on: a model may be called like one of these.
        int end = Array.FindIndex(parts, Math.Min(2, parts.Length), part => Revisioned.Contains(part) || Others.Contains(part));
        if (end < 0) end = parts.Length;
        string[] rest = parts[end..];
        string? revision = rest switch
        {
            [var word, ..] when !Revisioned.Contains(word) => null,
            [_, "refs", var kind, var name, ..] => $"refs/{kind}/{name}",
            [_, var name, ..] => Uri.UnescapeDataString(name),
            _ => null,
        };
        if (end < 2)
            throw new UsageException($"{given} names no repository. Give its page, as {HubRepository.DefaultEndpoint}/OWNER/NAME.");
        string host = address.GetLeftPart(UriPartial.Authority);
        if (Hosts.TryGetValue(address.Host, out string? known) && address.IsDefaultPort) host = $"{address.Scheme}://{known}";
        return new PageAddress(string.Join('/', [host, .. parts[..(end - 2)]]), string.Join('/', parts[(end - 2)..end]), revision);
    }
}
