using System.Runtime.CompilerServices;

namespace LdlVk.Cli.Tests;

/// <summary>Commands keep measured speeds and compiled kernels in the user's cache folder; tests have one of their own.</summary>
internal static class UserCache
{
    [ModuleInitializer]
    internal static void UseOneOfItsOwn() =>
        Environment.SetEnvironmentVariable("XDG_DATA_HOME", Directory.CreateDirectory(Path.Combine(AppContext.BaseDirectory, "cache")).FullName);
}
