namespace LdlVk.Hub;

/// <summary>A model's repository on a hub.</summary>
/// <param name="Endpoint">Address of the hub.</param>
/// <param name="Name">The repository, as <c>owner/name</c>.</param>
/// <param name="Revision">A branch, a tag or a commit.</param>
public sealed record HubRepository(Uri Endpoint, string Name, string Revision)
{
    /// <summary>The hub that is used unless another is named.</summary>
    public const string DefaultEndpoint = "https://huggingface.co";

    private const string DefaultRevision = "main";

    /// <summary>Address of the repository's page for people.</summary>
    public string Page => $"{Address(Endpoint)}/{Name}";

    /// <summary>Address of the list of files.</summary>
    internal Uri Listing => new($"{Address(Endpoint)}/api/models/{Name}/revision/{Uri.EscapeDataString(Revision)}?blobs=true");

    /// <summary>Reads the name of a repository, or the address of its page.</summary>
    /// <param name="given"><c>owner/name</c>, or an address as a browser shows it.</param>
    /// <param name="revision">Branch, tag or commit; null for that of the address, or main.</param>
    /// <param name="endpoint">Address of the hub; null for that of the address, or <see cref="DefaultEndpoint"/>.</param>
    /// <exception cref="UsageException">The text is neither, or contradicts the revision.</exception>
    public static HubRepository Parse(string given, string? revision, string? endpoint)
    {
        string name = given.Trim('/');
        if (PageAddress.Complete(given) is { } complete)
        {
            PageAddress page = PageAddress.Read(given, Web(complete, given));
            if (page.Revision is { } named && revision is not null && revision != named)
                throw new UsageException($"{given} names revision {named}, and {HubOption.Revision} another. Give one.");
            (name, endpoint, revision) = (page.Repository, page.Hub, revision ?? page.Revision);
        }

        if (name.Split('/') is not { Length: 1 or 2 } words || words.Any(word => !IsWord(word)))
            throw new UsageException($"{given} is no repository. Give OWNER/NAME, or its address, as {DefaultEndpoint}/OWNER/NAME.");
        revision ??= DefaultRevision;
        if (revision.Length is 0 or > 200 || revision.Any(c => char.IsControl(c) || c == '\\') || revision.Split('/').Contains(".."))
            throw new UsageException($"{HubOption.Revision} is none. Give a branch, a tag or a commit.");
        return new HubRepository(Web(endpoint ?? DefaultEndpoint, $"{HubOption.Endpoint} {endpoint}"), name, revision);
    }

    /// <summary>Address of a file.</summary>
    internal Uri File(string commit, string name)
    {
        string path = string.Join('/', name.Split('/').Select(Uri.EscapeDataString));
        return new Uri($"{Address(Endpoint)}/{Name}/resolve/{Uri.EscapeDataString(commit)}/{path}");
    }

    private static string Address(Uri endpoint) => endpoint.AbsoluteUri.TrimEnd('/');

    private static bool IsWord(string word) =>
        word.Length is > 0 and <= 96 && word.Trim('.').Length > 0 && word.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');

    private static Uri Web(string text, Notice shown) =>
        Uri.TryCreate(text, UriKind.Absolute, out Uri? address) && address.Scheme is "http" or "https" && address!.UserInfo.Length == 0
        ? new Uri(address.GetLeftPart(UriPartial.Path))
        : throw new UsageException(
            $"{shown} is no address of a hub. Give one as {DefaultEndpoint}; a token comes from {HubOption.Token} or HF_TOKEN.");
}
