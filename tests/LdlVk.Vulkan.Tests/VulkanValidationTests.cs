using System.Diagnostics;

namespace LdlVk.Vulkan.Tests;

/// <summary>
/// Where a test run relies on the validation layer, it is loaded and reports mistakes: otherwise an empty log would prove nothing.
/// </summary>
public sealed class VulkanValidationTests : VulkanTest
{
    private static bool Expected => Environment.GetEnvironmentVariable("LDLVK_EXPECT_VALIDATION") == "1";

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void The_validation_layer_is_loaded(int driver)
    {
        Assert.SkipUnless(Expected, "the run does not ask for the validation layer");
        using IDisposable device = Open(driver);
        Assert.Contains(Process.GetCurrentProcess().Modules.Cast<ProcessModule>(), m => m.ModuleName.Contains("VkLayer_khronos_validation", StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>With the run's settings, except for the log's path, a leak and a missing barrier are logged.</summary>
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
