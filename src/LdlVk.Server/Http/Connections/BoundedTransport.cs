using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace LdlVk.Server.Http.Connections;

/// <summary>
/// Accepts connections for Kestrel, on a thread of its own for each address, so that they are accepted while all cores compute.
/// Kestrel's own transport refuses connections above its limit whoever they are from, and where the process is out of file handles it
/// calls accept again and again without a pause.
/// </summary>
/// <param name="table">Makes room for connections.</param>
/// <param name="loggers">Creates the logger.</param>
internal sealed class BoundedTransport(ConnectionTable table, ILoggerFactory loggers) : IConnectionListenerFactory
{
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        Socket socket;
        try
        {
            socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw new AddressInUseException(e.Message, e);
        }

        // The system caps it (net.core.somaxconn).
        socket.Listen(65_535);
        return ValueTask.FromResult<IConnectionListener>(new BoundedListener(socket, table, loggers));
    }
}
