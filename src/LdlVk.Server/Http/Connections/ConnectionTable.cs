using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace LdlVk.Server.Http.Connections;

/// <summary>
/// The open connections, bounded in all and for each client. Where there is no room for a new connection, the one that has been idle for
/// longest is closed, or the slowest upload; never one whose request waits for its answer. Thus whoever opens thousands of connections
/// closes their own, and a new one, such as that of a health check, is always served. Thread-safe.
/// </summary>
/// <param name="max">Maximum number of connections.</param>
/// <param name="maxPerClient">Maximum number of connections of one client.</param>
/// <param name="isTrusted">Whether an address is that of a proxy, which speaks for many clients.</param>
internal sealed class ConnectionTable(int max, int maxPerClient, Func<IPAddress, bool> isTrusted)
{
    /// <summary>One connection in this many stays free of requests that wait for scores, so that there is always one to close.</summary>
    private const int Spare = 8;

    private readonly Lock _lock = new();
    private readonly Dictionary<IPAddress, Client> _clients = [];
    private int _count, _waiting, _open;
    private long _evicted;

    /// <summary>Number of open connections.</summary>
    public int Count
    {
        get
        {
            lock (_lock) return _count;
        }
    }

    /// <summary>
    /// Whether there are as many open sockets as there may be: those of connections that were closed to make room are closed a little
    /// later.
    /// </summary>
    public bool IsCrowded => Volatile.Read(ref _open) > max + (max / Spare);

    /// <summary>Number of connections that were closed, or not accepted, to make room.</summary>
    public long Evicted => Interlocked.Read(ref _evicted);

    /// <summary>Adds a new connection, and closes another if there is no room.</summary>
    /// <returns>The entry; null if every connection waits for its answer.</returns>
    public Entry? Admit(ConnectionContext connection)
    {
        IPAddress address = KeyOf(connection.RemoteEndPoint);
        Entry? victim = null, entry = null;
        lock (_lock)
        {
            if (!_clients.TryGetValue(address, out Client? client))
                client = new Client(address, isTrusted(address) ? max : Math.Min(max, maxPerClient));
            bool fits = client.Count < client.Max || (victim = Remove(client.Oldest)) is not null;
            if (fits && _count >= max) fits = (victim = Remove(Largest())) is not null;
            if (fits)
            {
                _clients[address] = client;
                entry = new Entry(connection, client);
                client.Count++;
                _count++;
                _open++;
                Set(entry, ConnectionState.Idle);
            }
        }

        if (victim is not null || entry is null) Interlocked.Increment(ref _evicted);
        victim?.Connection.Abort(new ConnectionAbortedException("The connection was closed to make room for another."));
        return entry;
    }

    /// <summary>Closes the connection that has been idle for longest; for when the process is out of file handles.</summary>
    public void CloseOne()
    {
        Entry? victim;
        lock (_lock) victim = Remove(Largest());
        if (victim is null) return;
        Interlocked.Increment(ref _evicted);
        victim.Connection.Abort(new ConnectionAbortedException("The connection was closed for lack of file handles."));
    }

    /// <summary>Notes what a connection does now.</summary>
    /// <returns>False if too many others wait for their answers already; the state is then unchanged.</returns>
    public bool TrySet(Entry entry, ConnectionState state)
    {
        lock (_lock)
        {
            if (entry.IsClosed || entry.State == state) return true;
            if (state == ConnectionState.Waiting && (_waiting >= Most(max) || entry.Client.Waiting >= Most(entry.Client.Max))) return false;
            Unset(entry);
            Set(entry, state);
            return true;
        }

        static int Most(int connections) => Math.Max(1, connections - Math.Max(1, connections / Spare));
    }

    /// <summary>Forgets a connection whose socket is closed.</summary>
    public void Close(Entry entry)
    {
        lock (_lock)
        {
            Remove(entry);
            _open--;
        }
    }

    private Entry? Largest()
    {
        Client? largest = null;
        foreach (Client client in _clients.Values)
            if (client.Oldest is not null && client.Count > (largest?.Count ?? 0)) largest = client;
        return largest?.Oldest;
    }

    private Entry? Remove(Entry? entry)
    {
        if (entry is null || entry.IsClosed) return null;
        Unset(entry);
        entry.IsClosed = true;
        _count--;
        if (--entry.Client.Count == 0) _clients.Remove(entry.Client.Address);
        return entry;
    }

    private void Set(Entry entry, ConnectionState state)
    {
        entry.State = state;
        if (state == ConnectionState.Idle) entry.Client.Idle.AddLast(entry.Node);
        else if (state == ConnectionState.Reading) entry.Client.Reading.AddLast(entry.Node);
        else if (state == ConnectionState.Waiting) (_waiting, entry.Client.Waiting) = (_waiting + 1, entry.Client.Waiting + 1);
    }

    private void Unset(Entry entry)
    {
        entry.Node.List?.Remove(entry.Node);
        if (entry.State == ConnectionState.Waiting) (_waiting, entry.Client.Waiting) = (_waiting - 1, entry.Client.Waiting - 1);
    }

    /// <summary>Returns what identifies a client: its address, of IPv6 the network of 64 bits, which one client has to itself.</summary>
    private static IPAddress KeyOf(EndPoint? end)
    {
        if (end is not IPEndPoint { Address: var address }) return IPAddress.None;
        if (address.IsIPv4MappedToIPv6) return address.MapToIPv4();
        if (address.AddressFamily != AddressFamily.InterNetworkV6 || IPAddress.IsLoopback(address)) return address;
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out _);
        bytes[8..].Clear();
        return new IPAddress(bytes);
    }

    /// <summary>A connection. Its members are used under the table's lock.</summary>
    internal sealed class Entry
    {
        public Entry(ConnectionContext connection, Client client)
        {
            (Connection, Client) = (connection, client);
            Node = new LinkedListNode<Entry>(this);
        }

        public ConnectionContext Connection { get; }

        public Client Client { get; }

        public LinkedListNode<Entry> Node { get; }

        public ConnectionState State { get; set; }

        public bool IsClosed { get; set; }
    }

    /// <summary>The connections of one client: those that may be closed, the oldest first, and the number of all.</summary>
    internal sealed class Client(IPAddress address, int max)
    {
        public IPAddress Address => address;

        public int Max => max;

        public LinkedList<Entry> Idle { get; } = new();

        public LinkedList<Entry> Reading { get; } = new();

        public int Count { get; set; }

        public int Waiting { get; set; }

        public Entry? Oldest => (Idle.First ?? Reading.First)?.Value;
    }
}
