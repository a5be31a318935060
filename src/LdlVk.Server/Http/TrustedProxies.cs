using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.HttpOverrides;
using IPNetwork = System.Net.IPNetwork;

namespace LdlVk.Server.Http;

/// <summary>The addresses of proxies, whose statements on the client (<c>X-Forwarded-For</c>, <c>-Proto</c>, <c>-Host</c>) count.</summary>
internal sealed class TrustedProxies
{
    private readonly IPNetwork[] _networks;

    /// <param name="addresses">Addresses and networks, such as 10.0.0.5 and 10.0.0.0/8.</param>
    /// <exception cref="UsageException">One is neither.</exception>
    public TrustedProxies(IReadOnlyList<string> addresses) => _networks = [.. addresses.Select(Parse)];

    /// <summary>Whether an address is that of a proxy.</summary>
    public bool Contain(IPAddress address)
    {
        IPAddress plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return _networks.Any(network => network.Contains(plain));
    }

    /// <summary>
    /// Options of the middleware that puts what proxies say in the place of what the connection says; null without proxies.
    /// </summary>
    public ForwardedHeadersOptions? Forwarding()
    {
        if (_networks.Length == 0) return null;
        ForwardedHeadersOptions options = new() { ForwardedHeaders = ForwardedHeaders.All, ForwardLimit = null };
        options.KnownProxies.Clear();
        options.KnownIPNetworks.Clear();
        foreach (IPNetwork network in _networks) options.KnownIPNetworks.Add(network);
        return options;
    }

    private static IPNetwork Parse(string text)
    {
        string[] parts = text.Split('/', 2);
        if (IPAddress.TryParse(parts[0].Trim('[', ']'), out IPAddress? address))
        {
            byte[] bytes = address.GetAddressBytes();
            int bits = 8 * bytes.Length;
            if (parts.Length == 1) return new IPNetwork(address, bits);
            if (int.TryParse(parts[1], out int length) && length >= 0 && length <= bits)
            {
                // An address within the network stands for it.
                for (int bit = length; bit < bits; bit++) bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
                return new IPNetwork(new IPAddress(bytes), length);
            }
        }

        throw new UsageException($"'{text}' is neither an address nor a network of proxies. Give one such as 10.0.0.5 or 10.0.0.0/8.");
    }
}
