using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace LdlVk.Server.Http;

/// <summary>A URL to listen on.</summary>
internal sealed record ListenAddress(IPAddress? Address, int Port)
{
    /// <summary>Whether only this machine can reach the address.</summary>
    public bool IsLoopback => Address is not null && IPAddress.IsLoopback(Address);

    /// <summary>Reads a URL.</summary>
    /// <exception cref="UsageException">The server cannot listen on this URL.</exception>
    public static ListenAddress Parse(string url)
    {
        BindingAddress address;
        try
        {
            address = BindingAddress.Parse(url);
        }
        catch (FormatException)
        {
            throw new UsageException($"'{url}' is not a URL to listen on. Give one such as http://127.0.0.1:8000.");
        }

        if (address.IsUnixPipe || address.IsNamedPipe || address.PathBase.Length > 0)
            throw new UsageException($"'{url}': give only an address and a port, such as http://127.0.0.1:8000.");
        if (!address.Scheme.Equals("http", StringComparison.OrdinalIgnoreCase))
            throw new UsageException(
                $"'{url}': the server speaks plain HTTP. For HTTPS, put a proxy such as nginx or Caddy in front of it.");
        if (address.Port is < 0 or > 65535) throw new UsageException($"'{url}': the port must be from 0 to 65535.");
        if (address.Host is "*" or "+") return new ListenAddress(null, address.Port);
        if (address.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase))
            return new ListenAddress(IPAddress.Loopback, address.Port);
        return IPAddress.TryParse(address.Host.Trim('[', ']'), out IPAddress? ip)
            ? new ListenAddress(ip, address.Port)
            : throw new UsageException($"'{url}': give the IP address to listen on, or * for all addresses of this machine.");
    }

    /// <summary>Configures Kestrel to listen on the address.</summary>
    /// <param name="kestrel">The options.</param>
    /// <param name="configure">Configures the listener.</param>
    public void Listen(KestrelServerOptions kestrel, Action<ListenOptions> configure)
    {
        if (Address is null) kestrel.ListenAnyIP(Port, Configure);
        else kestrel.Listen(Address, Port, Configure);

        void Configure(ListenOptions listen)
        {
            listen.Protocols = HttpProtocols.Http1;
            configure(listen);
        }
    }
}
