namespace LdlVk.Testing;

/// <summary>Where the checkout's folders are, for tests and benchmarks.</summary>
public static class Repository
{
    /// <summary>The folder that holds LdlVk.sln.</summary>
    public static string Root { get; } = Find();

    /// <summary>A path below the root.</summary>
    public static string Path(params string[] parts) => System.IO.Path.Combine([Root, .. parts]);

    private static string Find()
    {
        for (DirectoryInfo? d = new(AppContext.BaseDirectory); d is not null; d = d.Parent)
            if (File.Exists(System.IO.Path.Combine(d.FullName, "LdlVk.sln"))) return d.FullName;
        throw new DirectoryNotFoundException($"No LdlVk.sln above {AppContext.BaseDirectory}.");
    }
}
