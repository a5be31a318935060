using LdlVk.Runtime.Devices;

namespace LdlVk.Testing;

/// <summary>What tests of streams of commands share: uses of a weight that are handed over, and what was handed over by something.</summary>
public static class Submissions
{
    /// <summary>What an action adds to the submissions made so far.</summary>
    public static List<T> During<T>(this List<T> submissions, Action act)
    {
        int before = submissions.Count;
        act();
        return submissions[before..];
    }

    /// <summary>A product with a weight, handed over.</summary>
    public static void Use(this IDevice device, IWeight weight, ITensor x, ITensor y)
    {
        device.Linear(y, x, weight);
        device.BeginRead(y).Dispose();
    }
}
