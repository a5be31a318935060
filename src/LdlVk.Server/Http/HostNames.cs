using System.Net;

namespace LdlVk.Server.Http;

/// <summary>
/// The names under which the server may be asked for. Without names of its own, a server that only this machine reaches answers to this
/// machine's names alone, and any other server to all.
/// </summary>
/// <param name="allowed">Names; <c>*.example.com</c> for all of a domain, <c>*</c> for all.</param>
/// <param name="onlyLoopback">Whether only this machine can reach the server.</param>
internal sealed class HostNames(IReadOnlyList<string> allowed, bool onlyLoopback)
{
    /// <summary>Whether a request may have this host name.</summary>
    public bool Allow(string host)
    {
        if (IsNamed(host)) return true;
        bool isAddress = IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? address);
        bool isLoopback = host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (isAddress && IPAddress.IsLoopback(address!));
        // DNS rebinding needs a name, so addresses of this machine are no danger where other machines may ask.
        return isLoopback || (!onlyLoopback && (isAddress || allowed.Count == 0));
    }

    /// <summary>Whether a host is one of the names that were given.</summary>
    public bool IsNamed(string host) => allowed.Any(name => name == "*" || name.Equals(host, StringComparison.OrdinalIgnoreCase)
        || (name.StartsWith("*.", StringComparison.Ordinal) && host.EndsWith(name[1..], StringComparison.OrdinalIgnoreCase)));

    /// <summary>Throws unless a name can be that of a host.</summary>
    /// <exception cref="UsageException">It cannot.</exception>
    public static void Check(string name)
    {
        string host = name.StartsWith("*.", StringComparison.Ordinal) ? name[2..] : name;
        if (host != "*" && Uri.CheckHostName(host.Trim('[', ']')) == UriHostNameType.Unknown)
            throw new UsageException(
                $"'{name}' is not the name of a host. Give it without scheme and port, such as rm.example.com or *.example.com.");
    }
}
