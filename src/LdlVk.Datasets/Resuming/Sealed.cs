using System.Security.Cryptography;
using System.Text;

namespace LdlVk.Datasets.Resuming;

/// <summary>
/// A JSON object with a checksum of its bytes as its last member. The checksum covers the previous object of the file too, so that objects
/// can be neither changed nor left out.
/// </summary>
internal static class Sealed
{
    private const int HexDigits = 2 * SHA256.HashSizeInBytes;

    private static readonly byte[] Between = ",\"check\":\""u8.ToArray(), End = "\"}"u8.ToArray();

    /// <summary>Adds the checksum.</summary>
    /// <param name="json">An object with at least one member.</param>
    /// <param name="previous">The checksum of the previous object; empty for the first.</param>
    /// <returns>The object, and its checksum.</returns>
    public static (byte[] Json, string Check) Seal(byte[] json, string previous = "")
    {
        ReadOnlySpan<byte> members = json.AsSpan(0, json.Length - 1);
        string check = CheckOf(members, previous);
        return ([.. members, .. Between, .. Encoding.ASCII.GetBytes(check), .. End], check);
    }

    /// <summary>Verifies and removes the checksum.</summary>
    /// <returns>The object and its checksum; null if any bit of it has changed.</returns>
    public static (byte[] Json, string Check)? Open(ReadOnlySpan<byte> json, string previous = "")
    {
        int length = json.Length - Between.Length - HexDigits - End.Length;
        if (length <= 0) return null;
        ReadOnlySpan<byte> members = json[..length];
        string check = CheckOf(members, previous);
        ReadOnlySpan<byte> seal = json[length..];
        return seal.StartsWith(Between)
            && seal[Between.Length..^End.Length].SequenceEqual(Encoding.ASCII.GetBytes(check))
            && seal.EndsWith(End) ? ([.. members, (byte)'}'], check) : null;
    }

    private static string CheckOf(ReadOnlySpan<byte> members, string previous) =>
        Convert.ToHexStringLower(SHA256.HashData([.. Encoding.ASCII.GetBytes(previous), .. members]));
}
