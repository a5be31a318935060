using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Vulkan;

namespace LdlVk.Scoring;

/// <summary>
/// What a self-test found of devices with a version of their driver, kept, so that each is tested once. A test in which the process ended
/// is a verdict too.
/// </summary>
/// <param name="path">The file; null to keep nothing.</param>
/// <param name="subject">What is tested, as the file names it: verdicts on several may be in one file.</param>
/// <param name="test">Tests a device: what is wrong, or null.</param>
internal sealed class KeptVerdicts(string? path, string subject, Func<DeviceInfo, string?> test)
{
    /// <summary>The fault of a device during whose test the process ended.</summary>
    public const string Ended = "the process ended during the self-test, as when a driver crashes";

    private const string Right = "right", Unknown = "unknown";

    /// <summary>Another build has other kernels, which are tested anew.</summary>
    private static readonly string Build = typeof(VulkanBackend).Assembly.ManifestModule.ModuleVersionId.ToString("N");

    private readonly KeptFacts _kept = new(path);

    /// <summary>The file of this machine, in the user's cache folder; null where there is none.</summary>
    public static string? DefaultPath => KeptFacts.PathOf("selftest.tsv");

    /// <summary>What is wrong with a device, and whether that was found out now; nothing where its memory is too full for a test.
    /// </summary>
    /// <param name="device">The device.</param>
    /// <param name="again">Whether a device during whose test the process ended is tested again.</param>
    public (string? Fault, bool IsNew) Of(DeviceInfo device, bool again = false)
    {
        string key = Key(device);
        string? kept = _kept.Find(key), fault = Fault(kept);
        bool isNew = TestMark.Is(kept);
        if ((again && fault == Ended) || !IsKnown(kept))
        {
            try
            {
                (fault, isNew) = (Tested(device, key), true);
            }
            catch (DeviceException e) when (e.Failure == DeviceFailure.OutOfMemory)
            {
                // A full card says nothing about its kernels: loading the model will say what there is no room for.
                return (null, false);
            }
        }

        if (isNew) _kept.Keep(key, fault ?? Right);
        return (fault, isNew);
    }

    /// <summary>What is wrong with a device by what is kept, without testing it; null where nothing is known.</summary>
    public string? Known(DeviceInfo device) => Fault(_kept.Find(Key(device)));

    /// <summary>Keeps that a device passed a self-test.</summary>
    public void Passed(DeviceInfo device) => _kept.Keep(Key(device), Right);

    /// <summary>A device with its fault, as messages begin.</summary>
    /// <param name="device">The device.</param>
    /// <param name="fault">What is wrong with it.</param>
    /// <param name="where">Where it is wrong, after a space; empty for everywhere.</param>
    public static string Describe(DeviceInfo device, string fault, string where)
    {
        bool hangs = fault == Ended || fault.Contains(DeviceSelfTest.DoesNotEnd, StringComparison.Ordinal);
        return $"{device.Id} ({device.Name}) {(hangs ? "did not end the self-test" : "computes wrong results")}{where} with its driver, "
            + device.Driver;
    }

    /// <summary>The first fault that checks find on a device, which is closed after them; null for none.</summary>
    public static string? FirstFault(IDevice device, Func<IDevice, IReadOnlyList<CheckResult>> run)
    {
        IReadOnlyList<CheckResult> checks = [];
        try
        {
            checks = run(device);
        }
        finally
        {
            DeviceSelfTest.Close(device, checks);
        }

        CheckResult? wrong = checks.FirstOrDefault(check => check.Fault is not null);
        return wrong is null ? null : $"{wrong.Op} {wrong.Variant}: {wrong.Fault}";
    }

    private string Key(DeviceInfo device) => KeptFacts.Key(device, $"{subject} {Build}");

    /// <summary>Tests a device. Until that has ended, a mark says that it has begun.</summary>
    private string? Tested(DeviceInfo device, string key)
    {
        _kept.Keep(key, TestMark.Own);
        try
        {
            return test(device);
        }
        catch
        {
            _kept.Keep(key, Unknown);
            throw;
        }
    }

    /// <summary>Whether a kept line is a verdict; the mark of a process that still runs is none.</summary>
    private static bool IsKnown(string? kept) => kept is not null and not Unknown && (!TestMark.Is(kept) || TestMark.IsOfDead(kept));

    /// <summary>What is wrong by a kept line; null for nothing, or where it is no verdict.</summary>
    private static string? Fault(string? kept) => !IsKnown(kept) || kept == Right ? null : TestMark.Is(kept) ? Ended : kept;
}
