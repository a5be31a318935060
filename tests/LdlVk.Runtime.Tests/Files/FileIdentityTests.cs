using System.Diagnostics;
using LdlVk.Runtime.Files;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Files;

public sealed class FileIdentityTests
{
    [Fact]
    public void All_names_of_a_file_have_one_identity()
    {
        using TempFolder folder = new();
        string file = folder.Write("file", "a"), other = folder.Write("other", "a");
        FileIdentity identity = FileIdentity.Of(file)!.Value;
        Assert.Equal(FileKind.File, identity.Kind);
        Assert.NotEqual(identity, FileIdentity.Of(other));
        Assert.Equal(identity, FileIdentity.Of(Path.Combine(folder.Path, ".", "..", Path.GetFileName(folder.Path), "file")));
        Assert.Equal(FileKind.Folder, FileIdentity.Of(folder.Path)!.Value.Kind);
        Assert.Equal(FileIdentity.Of(folder.Path), FileIdentity.Of(folder.Path + Path.DirectorySeparatorChar));
        using (FileStream open = File.OpenRead(file)) Assert.Equal(identity, FileIdentity.Of(open.SafeFileHandle));
        foreach (string missing in (string[])["", folder["none"], folder["none/none"], "a\0b"]) Assert.Null(FileIdentity.Of(missing));
        if (OperatingSystem.IsWindows()) return;
        File.CreateSymbolicLink(folder["link"], "file");
        File.CreateSymbolicLink(folder["circle"], "circle");
        using (Process ln = Process.Start("ln", [file, folder["hard"]])) ln.WaitForExit();
        Assert.Equal([identity, identity, null], new[] { "link", "hard", "circle" }.Select(name => FileIdentity.Of(folder[name])));
        Assert.Equal(FileKind.Device, FileIdentity.Of("/dev/null")!.Value.Kind);
    }

    [Fact]
    public void A_file_of_ours_that_is_a_link_or_a_folder_is_refused()
    {
        using TempFolder folder = new();
        OwnFile.Check(folder["none"]);
        OwnFile.Check(folder.Write("file", "a"));
        Assert.Throws<UsageException>(() => OwnFile.Check(folder.Path));
        if (OperatingSystem.IsWindows()) return;
        File.CreateSymbolicLink(folder["link"], "file");
        File.CreateSymbolicLink(folder["dangling"], "nowhere");
        foreach (string name in (string[])["link", "dangling"]) Assert.Throws<UsageException>(() => OwnFile.Check(folder[name]));
        Assert.Throws<UsageException>(() => OwnFile.Check("/dev/null"));
    }
}
