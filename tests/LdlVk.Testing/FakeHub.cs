using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace LdlVk.Testing;

/// <summary>A request as it came.</summary>
public sealed record HubRequest(bool IsHub, string Path, string? Authorization, string? Range);

/// <summary>
/// A server on the loopback that behaves as a hub: lists a repository's files, redirects large ones to a second port, gives ranges. A test
/// makes it fail with <see cref="Fault"/>.
/// </summary>
public sealed class FakeHub : IDisposable
{
    private readonly TcpListener _hub = new(IPAddress.Loopback, 0), _store = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();

    public FakeHub()
    {
        foreach ((TcpListener listener, bool isHub) in ((TcpListener, bool)[])[(_hub, true), (_store, false)])
        {
            listener.Start();
            _ = ListenAsync(listener, isHub);
        }
    }

    public const string Commit = "0123456789abcdef0123456789abcdef01234567";

    public string Address => $"http://127.0.0.1:{((IPEndPoint)_hub.LocalEndpoint).Port}";

    /// <summary>Files by name.</summary>
    public Dictionary<string, byte[]> Files { get; } = new(StringComparer.Ordinal);

    /// <summary>The requests that came.</summary>
    public ConcurrentQueue<HubRequest> Requests { get; } = new();

    /// <summary>What the list says of files' checksums, where it lies.</summary>
    public Dictionary<string, string> Checksums { get; } = new(StringComparer.Ordinal);

    /// <summary>A token without which there is no answer.</summary>
    public string? Token { get; set; }

    /// <summary>Answers in place of the hub: given a request and how many came before it for the same path; null to answer as a hub does.</summary>
    public Func<HubRequest, int, Answer?> Fault { get; set; } = (_, _) => null;

    /// <summary>Bytes sent of files' contents.</summary>
    public long BytesSent;

    public FakeHub With(string folder)
    {
        foreach (string file in Directory.EnumerateFiles(folder)) Files[Path.GetFileName(file)] = File.ReadAllBytes(file);
        return this;
    }

    /// <summary>Whether the hub lists SHA-256 for a file, and not the name that git gives it.</summary>
    public static bool IsLarge(string name) => name.EndsWith(".safetensors", StringComparison.Ordinal) || name.EndsWith(".pt", StringComparison.Ordinal);

    public static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    public static string GitSha1(byte[] bytes) => Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {bytes.Length}\0"), .. bytes]));

    public void Dispose()
    {
        _stop.Cancel();
        _hub.Stop();
        _store.Stop();
        _stop.Dispose();
    }

    /// <summary>An answer.</summary>
    /// <param name="Status">Status code.</param>
    /// <param name="Body">Bytes.</param>
    /// <param name="Headers">Further headers, each with its line's end.</param>
    /// <param name="CutAfter">Bytes of the body after which the connection is cut; -1 for none.</param>
    /// <param name="Length">Content-Length, if it is not the body's.</param>
    public sealed record Answer(int Status, byte[] Body, string Headers = "", int CutAfter = -1, long? Length = null);

    /// <summary>How a hub answers.</summary>
    public Answer Honest(HubRequest request)
    {
        string[] parts = request.Path.Split('/');
        if (Token is not null && request.IsHub && request.Authorization != $"Bearer {Token}") return new Answer(401, "no"u8.ToArray(), "X-Error-Code: GatedRepo\r\n");
        if (request.Path.StartsWith("/api/models/o/m/revision/", StringComparison.Ordinal))
            return Uri.UnescapeDataString(parts[^1]) is "main" or Commit or "refs/pr/1" ? new Answer(200, Encoding.UTF8.GetBytes(Listing())) : new Answer(404, [], "X-Error-Code: RevisionNotFound\r\n");
        if (!request.Path.StartsWith($"/o/m/resolve/{Commit}/", StringComparison.Ordinal) || !Files.TryGetValue(Uri.UnescapeDataString(parts[^1]), out byte[]? file)) return new Answer(404, [], "X-Error-Code: RepoNotFound\r\n");
        if (request.IsHub && IsLarge(parts[^1])) return new Answer(302, [], $"Location: http://127.0.0.1:{((IPEndPoint)_store.LocalEndpoint).Port}{request.Path}\r\nX-Repo-Commit: {Commit}\r\nX-Linked-Size: {file.Length}\r\n");
        if (request.Range is null) return new Answer(200, file);
        int from = int.Parse(request.Range["bytes=".Length..^1], CultureInfo.InvariantCulture);
        return new Answer(206, file[from..], $"Content-Range: bytes {from}-{file.Length - 1}/{file.Length}\r\n");
    }

    private string Listing() => $$"""{"sha":"{{Commit}}","siblings":[{{string.Join(",", Files.Select(file => Entry(file.Key, file.Value)))}}]}""";

    private string Entry(string name, byte[] bytes) => IsLarge(name)
        ? $$$"""{"rfilename":"{{{name}}}","size":{{{bytes.Length}}},"blobId":"{{{GitSha1([1])}}}","lfs":{"sha256":"{{{Checksums.GetValueOrDefault(name, Sha256(bytes))}}}","size":{{{bytes.Length}}},"pointerSize":134}}"""
        : $$"""{"rfilename":"{{name}}","size":{{bytes.Length}},"blobId":"{{Checksums.GetValueOrDefault(name, GitSha1(bytes))}}"}""";

    private async Task ListenAsync(TcpListener listener, bool isHub)
    {
        try
        {
            while (true) _ = ServeAsync(await listener.AcceptTcpClientAsync(_stop.Token), isHub);
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task ServeAsync(TcpClient client, bool isHub)
    {
        try
        {
            using (client)
            {
                NetworkStream stream = client.GetStream();
                using StreamReader reader = new(stream, Encoding.ASCII, leaveOpen: true);
                string path = (await reader.ReadLineAsync())!.Split(' ')[1].Split('?')[0];
                string? authorization = null, range = null;
                while (await reader.ReadLineAsync() is { Length: > 0 } line)
                {
                    if (line.StartsWith("Authorization: ", StringComparison.OrdinalIgnoreCase)) authorization = line[15..];
                    if (line.StartsWith("Range: ", StringComparison.OrdinalIgnoreCase)) range = line[7..];
                }

                HubRequest request = new(isHub, path, authorization, range);
                int before = Requests.Count(r => r.IsHub == isHub && r.Path == path);
                Requests.Enqueue(request);
                Answer answer = Fault(request, before) ?? Honest(request);
                await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {answer.Status} X\r\nContent-Length: {answer.Length ?? answer.Body.Length}\r\nConnection: close\r\n{answer.Headers}\r\n"));
                byte[] body = answer.CutAfter < 0 ? answer.Body : answer.Body[..Math.Min(answer.CutAfter, answer.Body.Length)];
                // Counted first: the client may be done with them before this thread goes on.
                Interlocked.Add(ref BytesSent, body.Length);
                await stream.WriteAsync(body);
            }
        }
        catch (IOException)
        {
            // The client is gone.
        }
    }
}
