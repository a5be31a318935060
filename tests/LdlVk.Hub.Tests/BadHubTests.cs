using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using LdlVk.Testing;

namespace LdlVk.Hub.Tests;

/// <summary>Hubs that cannot be read, lie in their lists, or never come to an end: one error each, that says which and the way on.</summary>
public sealed class BadHubTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly FakeHub _hub = new();
    private int _waits;

    public BadHubTests()
    {
        _hub.Files["config.json"] = "{}"u8.ToArray();
        _hub.Files["model.safetensors"] = new byte[5000];
    }

    public void Dispose()
    {
        _hub.Dispose();
        _folder.Dispose();
    }

    /// <summary>A company's proxy with a certificate of its own: an error that cannot pass is said once.</summary>
    [Fact]
    public async Task A_certificate_that_is_not_trusted_is_said_at_once()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=The Company Proxy", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using X509Certificate2 made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        using X509Certificate2 certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pfx), null);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        Task server = Task.Run(async () =>
        {
            using TcpClient client = await listener.AcceptTcpClientAsync();
            using var stream = new SslStream(client.GetStream());
            await Assert.ThrowsAnyAsync<Exception>(async () =>
            {
                await stream.AuthenticateAsServerAsync(certificate);
                await stream.ReadExactlyAsync(new byte[1]);
            });
        }, TestContext.Current.CancellationToken);
        string message = (await Assert.ThrowsAsync<IOException>(() => PullAsync($"https://localhost:{((IPEndPoint)listener.LocalEndpoint).Port}"))).Message;
        Assert.All((string[])["localhost", "CN=The Company Proxy", "not trusted", "SSL_CERT_FILE"], word => Assert.Contains(word, message, StringComparison.Ordinal));
        Assert.Equal(0, _waits);
        await server;
    }

    [Fact]
    public async Task A_server_that_speaks_no_TLS_is_said_at_once()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        Task server = Task.Run(async () =>
        {
            using TcpClient client = await listener.AcceptTcpClientAsync();
            await client.GetStream().WriteAsync("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"u8.ToArray());
            await client.GetStream().ReadAtLeastAsync(new byte[1000], 1000, throwOnEndOfStream: false);
        }, TestContext.Current.CancellationToken);
        string message = (await Assert.ThrowsAsync<IOException>(() => PullAsync($"https://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}"))).Message;
        await server;
        Assert.Contains("no secure connection", message, StringComparison.Ordinal);
        Assert.Equal(0, _waits);
    }

    [Theory]
    [InlineData(403, "X-Error-Code: DisabledRepo\r\nX-Error-Message: Access to this resource is disabled.\r\n", "o/m is disabled", "Access to this resource is disabled")]
    [InlineData(401, "X-Error-Message: Invalid credentials\r\n", "private or gated", "says: Invalid credentials")]
    [InlineData(404, "X-Error-Code: RevisionNotFound\r\nX-Error-Message: Invalid rev id: main\r\n", "no revision main", "says: Invalid rev id")]
    [InlineData(403, "X-Error-Code: GatedRepo\r\nX-Error-Message: Your request was rejected\r\n", "accepted its conditions", "says: Your request was rejected")]
    public async Task What_the_hub_says_is_shown(int status, string headers, params string[] says)
    {
        _hub.Fault = (_, _) => new FakeHub.Answer(status, [], headers);
        string message = (await Assert.ThrowsAsync<UsageException>(() => PullAsync())).Message;
        Assert.All(says, word => Assert.Contains(word, message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("{\"rfilename\":\"model.safetensors\"}", "no sizes and checksums")]
    [InlineData("{\"rfilename\":\"model.safetensors\",\"size\":5}", "no sizes and checksums")]
    [InlineData("{\"rfilename\":\"model.safetensors\",\"size\":null}", "no sizes and checksums")]
    [InlineData(Sound + ",{\"rfilename\":\"LICENSE\",\"blobId\":\"" + Sha1 + "\"}", "no size of LICENSE")]
    [InlineData("{\"rfilename\":\"model.safetensors\",\"size\":1e999,\"blobId\":\"" + Sha1 + "\"}", "did not answer as a hub does")]
    [InlineData("{\"rfilename\":\"model.safetensors\",\"size\":-5,\"blobId\":\"" + Sha1 + "\"}", "did not answer as a hub does")]
    [InlineData("{\"rfilename\":\"model\\ud800.safetensors\",\"size\":5,\"blobId\":\"" + Sha1 + "\"}", "did not answer as a hub does")]
    [InlineData(Sound + ",{\"rfilename\":\"LICENSE\",\"size\":1,\"blobId\":\"" + Sha1 + "\"},{\"rfilename\":\"LICENSE/x\",\"size\":1,\"blobId\":\"" + Sha1 + "\"}", "as a file and as a folder")]
    [InlineData(Sound + ",{\"rfilename\":\"CON\",\"size\":1,\"blobId\":\"" + Sha1 + "\"}", "device on Windows")]
    [InlineData(Sound + ",{\"rfilename\":\"a/nul.txt\",\"size\":1,\"blobId\":\"" + Sha1 + "\"}", "device on Windows")]
    [InlineData(Sound + ",{\"rfilename\":\"LICENSE/COM1.md\",\"size\":1,\"blobId\":\"" + Sha1 + "\"}", "device on Windows")]
    public async Task Lists_are_checked(string siblings, string says)
    {
        List($$"""{"sha":"{{FakeHub.Commit}}","siblings":[{{siblings}}]}""");
        Assert.Contains(says, (await Assert.ThrowsAsync<UsageException>(() => PullAsync(include: ["*", "*/*"]))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sizes_whose_sum_no_number_holds_are_refused()
    {
        IEnumerable<string> files = Enumerable.Range(0, 8200).Select(i => $$"""{"rfilename":"LICENSE{{i}}","size":{{1L << 50}},"blobId":"{{Sha1}}"}""");
        List($$"""{"sha":"{{FakeHub.Commit}}","siblings":[{{Sound}},{{string.Join(',', files)}}]}""");
        Assert.Contains("TiB", (await Assert.ThrowsAsync<UsageException>(() => PullAsync())).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://[::1")]
    [InlineData("http://")]
    [InlineData("http:///x")]
    [InlineData("http://127.0.0.1:99999/")]
    [InlineData("javascript:1")]
    [InlineData("http://a b/")]
    public async Task Redirections_to_no_address_are_errors_of_ours(string location)
    {
        _hub.Fault = (request, _) => request.Path.EndsWith("model.safetensors", StringComparison.Ordinal) ? new FakeHub.Answer(302, [], $"Location: {location}\r\n") : null;
        await Assert.ThrowsAnyAsync<IOException>(() => PullAsync());
    }

    /// <summary>A byte is no progress: a server that cuts every answer and knows no ranges is given up, and so is one that sends a byte at a time.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_hub_without_progress_is_given_up(bool ranges)
    {
        _hub.Fault = (request, _) => request.IsHub || !request.Path.EndsWith("model.safetensors", StringComparison.Ordinal) ? null
            : (ranges ? _hub.Honest(request) : new FakeHub.Answer(200, _hub.Files["model.safetensors"])) with { CutAfter = ranges ? 1 : 2500 };
        string message = (await Assert.ThrowsAsync<IOException>(() => PullAsync())).Message;
        Assert.Contains("after 8 attempts", message, StringComparison.Ordinal);
        Assert.Equal(7, _waits);
    }

    [Fact]
    public async Task A_list_that_trickles_is_given_up()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using CancellationTokenSource stop = new();
        Task server = Task.Run(async () =>
        {
            try
            {
                while (true) _ = TrickleAsync(await listener.AcceptTcpClientAsync(stop.Token), stop.Token);
            }
            catch (OperationCanceledException)
            {
                // The test is over.
            }
        }, CancellationToken.None);
        Stopwatch time = Stopwatch.StartNew();
        string message = (await Assert.ThrowsAsync<IOException>(() => PullAsync($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}", patience: 0.3))).Message;
        Assert.Contains("bytes came in", message, StringComparison.Ordinal);
        Assert.InRange(time.Elapsed.TotalSeconds, 0.5, 60);
        await stop.CancelAsync();
        await server;
    }

    private const string Sha1 = "0123456789012345678901234567890123456789";

    private const string Sound = "{\"rfilename\":\"model.safetensors\",\"size\":5,\"blobId\":\"" + Sha1 + "\"}";

    private static async Task TrickleAsync(TcpClient client, CancellationToken cancellationToken)
    {
        using (client)
        {
            try
            {
                NetworkStream stream = client.GetStream();
                await stream.WriteAsync("HTTP/1.1 200 X\r\nContent-Length: 1000000\r\n\r\n"u8.ToArray(), cancellationToken);
                while (true)
                {
                    await stream.WriteAsync(new byte[] { 32 }, cancellationToken);
                    await Task.Delay(50, cancellationToken);
                }
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                // The client is gone, or the test is over.
            }
        }
    }

    private void List(string json) => _hub.Fault = (request, _) =>
        request.Path.Contains("/revision/", StringComparison.Ordinal) ? new FakeHub.Answer(200, Encoding.UTF8.GetBytes(json)) : null;

    private async Task PullAsync(string? endpoint = null, IReadOnlyList<string>? include = null, double patience = 60)
    {
        using HubClient client = new(HubRepository.Parse("o/m", null, endpoint ?? _hub.Address), null)
        {
            Patience = TimeSpan.FromSeconds(patience),
            Delay = (_, _) =>
            {
                _waits++;
                return Task.CompletedTask;
            },
        };
        await new Pull(client) { Include = include ?? [] }.RunAsync(_folder["m"], TestContext.Current.CancellationToken);
    }
}
