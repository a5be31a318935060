using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace LdlVk.Server.Http.Connections;

/// <summary>
/// Answers <c>/health</c> and <c>/ready</c> at an address of its own, on a thread of its own, for orchestrators: nothing that happens at
/// the other addresses delays it. It reads the first line of a request and closes each connection after the answer.
/// </summary>
internal sealed class HealthListener : IDisposable
{
    /// <summary>Maximum number of connections; of more, the oldest one is closed.</summary>
    private const int MaxConnections = 64;

    private const int MaxHead = 4096;

    private static readonly TimeSpan MaxAge = TimeSpan.FromSeconds(5);

    private readonly Socket _listening;
    private readonly Func<(bool IsReady, string Status)> _state;
    private readonly List<Caller> _callers = [];
    private readonly Thread _thread;
    private volatile bool _ends;

    /// <param name="address">Where to listen.</param>
    /// <param name="state">Returns whether the server can score, and its state in a word or the reason.</param>
    /// <exception cref="SocketException">The address cannot be listened at.</exception>
    public HealthListener(ListenAddress address, Func<(bool IsReady, string Status)> state)
    {
        _state = state;
        IPEndPoint end = new(address.Address ?? IPAddress.IPv6Any, address.Port);
        _listening = SocketTransportOptions.CreateDefaultBoundListenSocket(end);
        _listening.Listen(512);
        EndPoint = (IPEndPoint)_listening.LocalEndPoint!;
        _thread = new Thread(Work) { IsBackground = true, Name = $"health {EndPoint}" };
        _thread.Start();
    }

    /// <summary>The address.</summary>
    public IPEndPoint EndPoint { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ends = true;
        _thread.Join();
        _listening.Dispose();
        foreach (Caller caller in _callers) caller.Socket.Dispose();
    }

    private void Work()
    {
        while (!_ends)
        {
            try
            {
                List<Socket> ready = [_listening, .. _callers.Select(c => c.Socket)];
                Socket.Select(ready, null, null, TimeSpan.FromMilliseconds(250));
                foreach (Caller caller in _callers.ToArray())
                    if ((ready.Contains(caller.Socket) && Serve(caller)) || caller.Age > MaxAge) Close(caller);
                if (ready.Contains(_listening)) Accept();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // Out of file handles, most likely; a pause lets others close theirs.
                if (_callers.Count > 0) Close(_callers[0]);
                Thread.Sleep(20);
            }
        }
    }

    private void Accept()
    {
        Socket socket = _listening.Accept();
        socket.SendTimeout = 1000;
        if (_callers.Count == MaxConnections) Close(_callers[0]);
        _callers.Add(new Caller(socket));
    }

    private void Close(Caller caller)
    {
        _callers.Remove(caller);
        caller.Socket.Dispose();
    }

    /// <summary>Reads what a caller has sent, and answers when the head of the request is complete.</summary>
    /// <returns>Whether the connection is done with.</returns>
    private bool Serve(Caller caller)
    {
        try
        {
            int read = caller.Socket.Receive(caller.Head.AsSpan(caller.Length));
            caller.Length += read;
            if (read == 0) return true;
            bool isWhole = caller.Head.AsSpan(0, caller.Length).IndexOf("\r\n\r\n"u8) >= 0;
            if (!isWhole && caller.Length < MaxHead) return false;
            string line = Encoding.Latin1.GetString(caller.Head, 0, caller.Length);
            caller.Socket.Send(Answer(line.Split('\r', 2)[0], isWhole));
            caller.Socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The caller has left.
        }

        return true;
    }

    private byte[] Answer(string line, bool isWhole)
    {
        string[] words = line.Split(' ');
        (int status, string text) = !isWhole || words.Length != 3 ? (400, "the request is not valid HTTP")
            : words[0] is not ("GET" or "HEAD") ? (405, "this address accepts only GET and HEAD")
            : words[1].Split('?', 2)[0] switch
            {
                "/health" or "/ping" => (200, "ok"),
                "/ready" or "/health_generate" => _state() is (true, var ready) ? (200, ready) : (503, _state().Status),
                _ => (404, "this address has /health and /ready"),
            };
        string body = $$"""{"status":"{{System.Text.Json.JsonEncodedText.Encode(text)}}"}""";
        string reason = Microsoft.AspNetCore.WebUtilities.ReasonPhrases.GetReasonPhrase(status);
        return Encoding.UTF8.GetBytes(
            $"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n"
            + $"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{(words[0] == "HEAD" ? "" : body)}");
    }

    private sealed class Caller(Socket socket)
    {
        private readonly long _since = Environment.TickCount64;

        public Socket Socket => socket;

        public byte[] Head { get; } = new byte[MaxHead];

        public int Length { get; set; }

        public TimeSpan Age => TimeSpan.FromMilliseconds(Environment.TickCount64 - _since);
    }
}
