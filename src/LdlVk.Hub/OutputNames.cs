namespace LdlVk.Hub;

/// <summary>Names of files in a folder that a pull fills.</summary>
internal static class OutputNames
{
    /// <summary>The end of a file's name until the file is whole and its checksum is right.</summary>
    public const string Partial = ".partial";
}
