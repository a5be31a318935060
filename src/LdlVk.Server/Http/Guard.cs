using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace LdlVk.Server.Http;

/// <summary>Refuses requests from other sites, and requests without the API key. Stateless.</summary>
internal sealed class Guard(string? apiKey, bool onlyLoopback)
{
    private const string Bearer = "Bearer ";

    // Comparing hashes reveals nothing about the key, not even its length.
    private readonly byte[]? _key = apiKey is null ? null : SHA256.HashData(Encoding.UTF8.GetBytes(apiKey));

    /// <summary>Throws if the request is not allowed.</summary>
    /// <param name="request">The request.</param>
    /// <param name="needsKey">Whether the request needs the API key, if the server has one.</param>
    public void Check(HttpRequest request, bool needsKey)
    {
        // DNS rebinding: a foreign page's host name may resolve to 127.0.0.1. The Host header then holds that name.
        if (onlyLoopback && !IsLoopback(request.Host.Host))
            throw new RequestException(
                403, "The Host header names another machine. This server answers only requests from its own machine.");
        // A foreign page can send requests, although it cannot read the answers. Every browser states the origin of such requests.
        string? origin = request.Headers.Origin;
        bool foreign = !string.IsNullOrEmpty(origin)
            && !(Uri.TryCreate(origin, UriKind.Absolute, out Uri? from)
                && from.Authority.Equals(Authority(request), StringComparison.OrdinalIgnoreCase));
        if (foreign || request.Headers["Sec-Fetch-Site"] == "cross-site")
            throw new RequestException(403, "The request comes from a page of another site.");
        if (needsKey && _key is not null && !HasKey(request))
            throw new RequestException(401, "This server needs an API key: Authorization: Bearer KEY, or X-API-Key: KEY.");
    }

    private bool HasKey(HttpRequest request)
    {
        string authorization = request.Headers.Authorization.ToString(), key = request.Headers["X-API-Key"].ToString();
        if (key.Length == 0 && authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase))
            key = authorization[Bearer.Length..].Trim();
        return CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(key)), _key);
    }

    private static bool IsLoopback(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
            || (IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? address) && IPAddress.IsLoopback(address));

    // Like Uri.Authority, which omits the default port of HTTP.
    private static string Authority(HttpRequest request) => request.Host.Port is null or 80 ? request.Host.Host : request.Host.Value!;
}
