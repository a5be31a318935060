using System.Runtime.CompilerServices;
using LdlVk.Runtime.Execution;
using LdlVk.Scoring;

namespace LdlVk.DirectML.Tests;

/// <summary>All devices are given the same speed: a measured one would change plans, and be written into the user's cache.</summary>
internal static class GivenSpeeds
{
    [ModuleInitializer]
    internal static void Use() => DeviceSpeeds.Default = new DeviceSpeeds(null, (_, _) => new DeviceSpeed(1e11, 1e9));
}
