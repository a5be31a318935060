using Microsoft.Extensions.Logging;

namespace LdlVk.Server.Tests;

/// <summary>Who may ask, and what answers carry.</summary>
public class SecurityTests(Mini mini)
{
    private const string Key = "a-long-secret";

    [Theory]
    [InlineData("X-API-Key", Key, 200)]
    [InlineData("Authorization", "Bearer " + Key, 200)]
    [InlineData("Authorization", "bearer " + Key, 200)]
    [InlineData("Authorization", Key, 401)]
    [InlineData("Authorization", "Bearer " + Key + "x", 401)]
    [InlineData("Authorization", "Bearer", 401)]
    [InlineData("X-API-Key", "", 401)]
    [InlineData("X-Other", Key, 401)]
    public async Task The_key_is_needed_where_there_is_one(string header, string value, int status)
    {
        await using Api api = await Api.StartAsync(mini, Api.Options with { ApiKey = Key });
        Reply reply = await api.GetAsync("v1/models", (header, value));
        Assert.Equal(status, reply.Status);
        Assert.Equal(status == 401, reply.Response.Headers.WwwAuthenticate.Count > 0);
    }

    [Fact]
    public async Task Without_the_key_only_what_tells_nothing_answers()
    {
        await using Api api = await Api.StartAsync(mini, Api.Options with { ApiKey = Key });
        foreach (string open in (string[])["", "page.js", "page.css", "health", "ready", "openapi.json"]) Assert.Equal(200, (await api.GetAsync(open)).Status);
        foreach (string closed in (string[])["v1/models", "info", "metrics"]) Assert.Equal(401, (await api.GetAsync(closed)).Status);
        foreach (var protocol in RewardServer.Protocols) Assert.Equal(401, (await api.PostAsync(protocol.Path, new { query = "a" })).Status);
    }

    [Theory]
    [InlineData("localhost", 200)]
    [InlineData("127.0.0.1:1234", 200)]
    [InlineData("[::1]", 200)]
    [InlineData("evil.example", 403)]
    [InlineData("localhost.evil.example", 403)]
    [InlineData("127.0.0.1.evil.example", 403)]
    public async Task On_loopback_another_machine_s_name_is_refused(string host, int status)
    {
        await using Api api = await Api.StartAsync(mini);
        Assert.Equal(status, (await api.GetAsync("health", ("Host", host))).Status);
    }

    [Fact]
    public async Task Pages_of_other_sites_are_refused_and_its_own_is_not()
    {
        await using Api api = await Api.StartAsync(mini);
        Assert.Equal(403, (await api.GetAsync("v1/models", ("Origin", "https://evil.example"))).Status);
        Assert.Equal(403, (await api.GetAsync("v1/models", ("Origin", "null"))).Status);
        Assert.Equal(403, (await api.GetAsync("v1/models", ("Sec-Fetch-Site", "cross-site"))).Status);
        Assert.Equal(200, (await api.GetAsync("v1/models", ("Origin", api.Server.Urls[0]), ("Sec-Fetch-Site", "same-origin"))).Status);
    }

    [Theory]
    [InlineData("rm.example.com", 200)]
    [InlineData("rm.example.com:443", 200)]
    [InlineData("RM.EXAMPLE.COM", 200)]
    [InlineData("a.models.example", 200)]
    [InlineData("models.example", 403)]
    [InlineData("localhost", 200)]
    [InlineData("rm.example.com.evil.example", 403)]
    public async Task Names_that_are_allowed_are_answered_to(string host, int status)
    {
        await using Api api = await Api.StartAsync(mini, Api.Options with { AllowedHosts = ["rm.example.com", "*.models.example"] });
        Assert.Equal(status, (await api.GetAsync("v1/models", ("Host", host))).Status);
        // The page of that name, behind a proxy that passes its own name or ours on.
        Assert.Equal(status, (await api.GetAsync("v1/models", ("Host", host), ("Origin", $"https://{host}"), ("Sec-Fetch-Site", "same-origin"))).Status);
        if (host != "localhost") Assert.Equal(status, (await api.GetAsync("v1/models", ("Origin", $"https://{host}"), ("Sec-Fetch-Site", "same-origin"))).Status);
    }

    [Fact]
    public async Task Names_are_checked_for_other_machines_too_where_some_are_given()
    {
        await using Api open = await Api.StartAsync(mini, Api.Options with { Urls = ["http://0.0.0.0:0"], AllowedHosts = ["rm.example.com"] });
        int port = new Uri(open.Server.Urls[0]).Port;
        using HttpClient client = new() { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        async Task<int> Ask(string host)
        {
            using HttpRequestMessage request = new(HttpMethod.Get, "health");
            request.Headers.Host = host;
            using HttpResponseMessage response = await client.SendAsync(request);
            return (int)response.StatusCode;
        }

        Assert.Equal((200, 200, 403), (await Ask("rm.example.com"), await Ask("10.1.2.3"), await Ask("evil.example")));
    }

    [Theory]
    [InlineData("127.0.0.0/8", 200)]
    [InlineData("127.0.0.1", 200)]
    [InlineData("10.0.0.0/8", 403)]
    [InlineData(null, 403)]
    public async Task What_a_proxy_states_counts_if_it_is_trusted(string? trusted, int status)
    {
        await using Api api = await Api.StartAsync(
            mini, Api.Options with { AllowedHosts = ["rm.example.com"], TrustedProxies = trusted is null ? [] : [trusted] });
        (string, string)[] headers =
            [("Host", "upstream.internal"), ("X-Forwarded-Host", "rm.example.com"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "203.0.113.7"), ("Origin", "https://rm.example.com")];
        Assert.Equal(status, (await api.GetAsync("v1/models", headers)).Status);
        // A name that is not allowed stays refused, whoever states it.
        Assert.Equal(403, (await api.GetAsync("v1/models", ("X-Forwarded-Host", "evil.example"), ("Host", trusted is null ? "evil.example" : "localhost"), ("Origin", "https://evil.example"))).Status);
    }

    [Theory]
    [InlineData("https://rm.example.com", null, "without scheme")]
    [InlineData("a b", null, "not the name of a host")]
    [InlineData(null, "proxy.internal", "neither an address nor a network")]
    [InlineData(null, "10.0.0.0/40", "neither an address nor a network")]
    public void Names_and_addresses_of_proxies_are_checked(string? host, string? proxy, string words)
    {
        ServerOptions options = Api.Options with { AllowedHosts = host is null ? [] : [host], TrustedProxies = proxy is null ? [] : [proxy] };
        Assert.Contains(words, Assert.Throws<UsageException>(options.Check).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("one-long-secret\nanother-secret", null, "Give one key, on one line")]
    [InlineData(null, 8000, "The health port 8000 is that of http://127.0.0.1:8000")]
    public void A_key_and_a_health_port_are_checked(string? key, int? port, string words)
    {
        ServerOptions options = new() { ApiKey = key, HealthPort = port };
        Assert.Contains(words, Assert.Throws<UsageException>(options.Check).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_health_port_in_use_is_named()
    {
        using System.Net.Sockets.TcpListener other = new(System.Net.IPAddress.Loopback, 0);
        other.Start();
        int port = ((System.Net.IPEndPoint)other.LocalEndpoint).Port;
        IOException error = await Assert.ThrowsAsync<IOException>(() => Api.StartAsync(mini, Api.Options with { HealthPort = port }));
        Assert.Contains($"the health port {port}: it is in use", error.Message, StringComparison.Ordinal);
    }

    /// <summary>The web framework's own variables would open an address whose reach nobody checked, and refuse hosts.</summary>
    [Fact]
    public async Task The_environment_adds_no_addresses_and_hosts()
    {
        Dictionary<string, string> variables = new()
        {
            ["Kestrel__Endpoints__Other__Url"] = "http://0.0.0.0:0", ["ASPNETCORE_URLS"] = "http://0.0.0.0:0", ["AllowedHosts"] = "rm.example.com",
        };
        foreach ((string name, string value) in variables) Environment.SetEnvironmentVariable(name, value);
        try
        {
            await using Api api = await Api.StartAsync(mini);
            Assert.StartsWith("http://127.0.0.1:", Assert.Single(api.Server.Urls), StringComparison.Ordinal);
            Assert.Equal(200, (await api.GetAsync("health")).Status);
        }
        finally
        {
            foreach (string name in variables.Keys) Environment.SetEnvironmentVariable(name, null);
        }
    }

    [Fact]
    public async Task Answers_have_the_headers_that_keep_browsers_strict()
    {
        await using Api api = await Api.StartAsync(mini);
        Reply page = await api.GetAsync("");
        Assert.Contains("default-src 'none'", page.Response.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        Assert.Equal("nosniff", page.Response.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.False(page.Response.Headers.Contains("Server"));
        Assert.False(page.Response.Headers.Contains("Access-Control-Allow-Origin"));
    }

    [Fact]
    public async Task Other_machines_without_a_key_are_warned_of()
    {
        using LogRecorder log = new();
        IEnumerable<LogRecord> Warnings() => log.Records.Where(r => r.Level >= LogLevel.Warning);
        ServerOptions everywhere = Api.Options with { Urls = ["http://*:0"], LoggerFactory = log };
        await using (await Api.StartAsync(mini, everywhere)) Assert.Contains("requires no API key", Assert.Single(Warnings()).Message, StringComparison.Ordinal);
        log.Clear();
        await using (await Api.StartAsync(mini, everywhere with { ApiKey = Key })) Assert.Empty(Warnings());
        await using (await Api.StartAsync(mini, Api.Options with { LoggerFactory = log })) Assert.Empty(Warnings());
    }

    [Theory]
    [InlineData("https://127.0.0.1:0", "proxy")]
    [InlineData("127.0.0.1", "not a URL")]
    [InlineData("http://example.com:80", "IP address")]
    [InlineData("http://127.0.0.1:70000", "65535")]
    [InlineData("http://127.0.0.1:0/x", "address and a port")]
    [InlineData("http://unix:/tmp/x", "address and a port")]
    public void Urls_that_cannot_be_listened_on_say_what_can(string url, string words) =>
        Assert.Contains(words, Assert.Throws<UsageException>((Api.Options with { Urls = [url] }).Check).Message, StringComparison.Ordinal);
}
