namespace LdlVk.Datasets.Resuming;

/// <summary>How two runs' results may stand in one file.</summary>
public enum RunMatch
{
    /// <summary>Equal texts have the same bits in both.</summary>
    Same,
    /// <summary>
    /// The settings are the same, but the kind of device, its driver or the version of LdlVk is not: scores may differ in their last bits.
    /// </summary>
    OtherMachine,
    /// <summary>The model or a setting differs: scores are not comparable.</summary>
    Different,
}

/// <summary>What a run's results depend on.</summary>
/// <param name="Settings">All of it but the driver, in one line: the version, the model, the device, and every setting.</param>
/// <param name="Portable">
/// <paramref name="Settings"/> without the version and the device; null for a run of an earlier version, which did not record it.
/// </param>
/// <param name="Driver">The driver with its version; null for a run of an earlier version; empty if the bits do not depend on one.</param>
public sealed record RunIdentity(string Settings, string? Portable = null, string? Driver = null)
{
    private const string And = " and ";

    /// <summary>Compares two runs. A driver that an earlier version did not record counts as the same.</summary>
    public RunMatch Match(RunIdentity other)
    {
        ArgumentNullException.ThrowIfNull(other);
        if (Settings == other.Settings && (Driver is null || other.Driver is null || Driver == other.Driver)) return RunMatch.Same;
        bool isMachine = Settings == other.Settings || (Portable is not null && Portable == other.Portable);
        return isMachine ? RunMatch.OtherMachine : RunMatch.Different;
    }

    /// <summary>Returns what differs between two runs, for a message.</summary>
    /// <param name="other">The other run.</param>
    /// <param name="of">Its name in the message, such as <c>now</c>.</param>
    public string Difference(RunIdentity other, string of = "")
    {
        ArgumentNullException.ThrowIfNull(other);
        string name = of.Length == 0 ? "" : of + " ";
        return Settings != other.Settings ? $"{Settings}; {name}{other.Settings}" : $"driver {Shown(Driver)}; {name}{Shown(other.Driver)}";
    }

    /// <summary>Returns the identity of a file that has results of both runs.</summary>
    internal RunIdentity With(RunIdentity other) => Match(other) == RunMatch.Same
        ? this with { Driver = Driver is null || other.Driver is null ? null : Driver }
        : new RunIdentity(Joined(Settings, other.Settings)!, Portable ?? other.Portable, Joined(Driver, other.Driver));

    /// <summary>Accepts results of another machine, if the caller does, or refuses them.</summary>
    /// <param name="now">The other run.</param>
    /// <param name="message">Begins the sentence about the difference.</param>
    /// <param name="end">Says what to do about other settings.</param>
    /// <param name="accept">Called with the difference of the machines, and may throw; null if such results are refused.</param>
    /// <exception cref="UsageException">The runs have different settings, or are of different machines.</exception>
    internal void Check(RunIdentity now, string message, string end, Action<string>? accept)
    {
        string difference = Difference(now, "now");
        switch (Match(now))
        {
            case RunMatch.OtherMachine:
                Accept($"{message} on another kind of device, with another driver or by another version ({difference})", accept);
                break;
            case RunMatch.Different:
                throw new UsageException($"{message} with other settings ({difference}). {end}");
        }
    }

    /// <summary>Accepts results of several machines, if the caller does, or refuses them.</summary>
    internal static void Accept(string difference, Action<string>? accept)
    {
        string message = difference + ": scores may differ in their last bits.";
        if (accept is null) throw new UsageException(message);
        accept(message);
    }

    private static string Shown(string? driver) => driver is null or "" ? "unknown" : driver;

    private static string? Joined(string? first, string? second) =>
        first is null || second is null ? null
        : first.Split(And).Contains(second) ? first : first + And + second;
}
