using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using LdlVk.Server.Telemetry;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace LdlVk.Server.Http.Connections;

/// <summary>Accepts the connections of one address. See <see cref="BoundedTransport"/>.</summary>
internal sealed class BoundedListener : IConnectionListener
{
    /// <summary>Pause after a failure to accept, which would be the same again at once.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <summary>Milliseconds that accepting waits at most for connections to be closed.</summary>
    private const int MaxPauses = 500;

    private readonly Socket _socket;
    private readonly ConnectionTable _table;
    private readonly ILogger _log;
    private readonly SocketConnectionContextFactory _factory;
    private readonly Channel<ConnectionContext> _accepted =
        Channel.CreateUnbounded<ConnectionContext>(new UnboundedChannelOptions { SingleWriter = true });

    private readonly Thread _thread;
    private volatile bool _closed;
    private long _warned;

    public BoundedListener(Socket socket, ConnectionTable table, ILoggerFactory loggers)
    {
        (_socket, _table, _log) = (socket, table, loggers.CreateLogger<BoundedTransport>());
        EndPoint = socket.LocalEndPoint!;
        _factory = new SocketConnectionContextFactory(new SocketConnectionFactoryOptions(), _log);
        _thread = new Thread(Accept) { IsBackground = true, Name = $"accept {EndPoint}" };
        _thread.Start();
    }

    public EndPoint EndPoint { get; }

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (await _accepted.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
            if (_accepted.Reader.TryRead(out ConnectionContext? connection)) return connection;
        return null;
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        _closed = true;
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await UnbindAsync().ConfigureAwait(false);
        _thread.Join(TimeSpan.FromSeconds(5));
        while (_accepted.Reader.TryRead(out ConnectionContext? connection)) await connection.DisposeAsync().ConfigureAwait(false);
        _factory.Dispose();
    }

    private void Accept()
    {
        while (!_closed)
        {
            try
            {
                for (int i = 0; _table.IsCrowded && i < MaxPauses; i++) Thread.Sleep(1);
                Socket socket = _socket.Accept();
                if (FileHandles.IsAmongLast(socket.Handle))
                {
                    socket.Dispose();
                    MakeRoom();
                    continue;
                }

                socket.NoDelay = true;
                Add(_factory.Create(socket));
            }
            catch (Exception) when (_closed)
            {
                break;
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable)
            {
                MakeRoom();
            }
            catch (Exception e) when (e is SocketException or IOException or ObjectDisposedException)
            {
                // The caller left before the connection was accepted.
                Thread.Sleep(1);
            }
        }

        _accepted.Writer.TryComplete();
    }

    /// <summary>Closes a connection, and waits a little.</summary>
    private void MakeRoom()
    {
        if (_warned == 0 || Environment.TickCount64 - _warned > 60_000)
        {
            _warned = Environment.TickCount64;
            _log.OutOfHandles();
        }

        _table.CloseOne();
        Thread.Sleep(Pause);
    }

    private void Add(ConnectionContext connection)
    {
        if (_table.Admit(connection) is { } entry)
        {
            connection.Features.Set(entry);
            if (_accepted.Writer.TryWrite(connection)) return;
            _table.Close(entry);
        }

        connection.Abort();
        _ = connection.DisposeAsync().AsTask();
    }
}
