namespace LdlVk.Hub;

/// <summary>The options of a download that its messages name.</summary>
internal static class HubOption
{
    /// <summary>Address of the hub.</summary>
    public static OptionName Endpoint => new(nameof(Endpoint));

    /// <summary>Branch, tag or commit.</summary>
    public static OptionName Revision => new(nameof(Revision));

    /// <summary>What the account is known by.</summary>
    public static OptionName Token => new(nameof(Token));

    /// <summary>Patterns of files to leave out.</summary>
    public static OptionName Exclude => new(nameof(Exclude));
}
