using System.Diagnostics;

namespace LdlVk.Vulkan.Tests;

/// <summary>
/// That the validation layer is really there and really reports, where the test run counts on it: an empty log proves nothing else.
/// </summary>
public sealed class VulkanValidationTests : VulkanTest
{
    private static bool Expected => Environment.GetEnvironmentVariable("LDLVK_EXPECT_VALIDATION") == "1";

    [Theory]
    [MemberData(nameof(Drivers))]
    public void The_validation_layer_is_loaded(int driver)
    {
        Assert.SkipUnless(Expected, "the run does not ask for the validation layer");
        using IDisposable device = Open(driver);
        Assert.Contains(Process.GetCurrentProcess().Modules.Cast<ProcessModule>(), m => m.ModuleName.Contains("VkLayer_khronos_validation", StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>With the run's own settings, only the log elsewhere, a leak and a missing barrier end up in the log.</summary>
    [Fact]
    public async Task Mistakes_reach_the_log()
    {
        Assert.SkipUnless(Expected, "the run does not ask for the validation layer");
        DirectoryInfo folder = Directory.CreateTempSubdirectory("ldlvk-validation");
        try
        {
            string log = Path.Combine(folder.FullName, "log.txt"), settings = Path.Combine(folder.FullName, "vk_layer_settings.txt");
            const string Key = "khronos_validation.log_filename = ";
            string[] own = await File.ReadAllLinesAsync(Environment.GetEnvironmentVariable("VK_LAYER_SETTINGS_PATH")!, TestContext.Current.CancellationToken);
            Assert.Single(own, line => line.StartsWith(Key, StringComparison.Ordinal));
            await File.WriteAllLinesAsync(settings, own.Select(line => line.StartsWith(Key, StringComparison.Ordinal) ? Key + log : line), TestContext.Current.CancellationToken);
            (_, string output) = await VulkanChild.Run("err", ("VK_LAYER_SETTINGS_PATH", settings));
            Assert.True(File.Exists(log), $"no log was written; the child said: {output}");
            string messages = await File.ReadAllTextAsync(log, TestContext.Current.CancellationToken);
            Assert.Contains("VUID-vkDestroyDevice", messages);
            Assert.Contains("SYNC-HAZARD-WRITE", messages);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
