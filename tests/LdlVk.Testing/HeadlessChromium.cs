using System.Diagnostics;

namespace LdlVk.Testing;

/// <summary>Starts Chromium without a screen, where it is installed.</summary>
public static class HeadlessChromium
{
    private static readonly bool Unwanted = Environment.GetEnvironmentVariable("LDLVK_NO_BROWSER") == "1";

    /// <summary>Why a test that needs it is skipped.</summary>
    public static string Missing { get; } = Unwanted ? "LDLVK_NO_BROWSER leaves the browser out." : "Chromium is not installed (apt-get install chromium).";

    /// <summary>The program; null if there is none.</summary>
    public static string? Program { get; } = Unwanted ? null : ((string[])["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]).FirstOrDefault(File.Exists);

    /// <summary>Starts it with a profile of its own; what it writes is the caller's to read, and the process the caller's to end.</summary>
    /// <param name="profile">The folder of the profile.</param>
    /// <param name="arguments">What else it is told, a page above all.</param>
    public static Process Start(string profile, params ReadOnlySpan<string> arguments)
    {
        ProcessStartInfo start = new(Program!) { RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (string argument in (string[])["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", $"--user-data-dir={profile}", .. arguments]) start.ArgumentList.Add(argument);
        // It asks for Vulkan too; what the validation layer says of it is no concern of the tests.
        start.Environment.Remove("VK_INSTANCE_LAYERS");
        return Process.Start(start)!;
    }
}
