using System.Security.Cryptography;
using System.Text;
using LdlVk.Runtime.Formatting;
using Microsoft.AspNetCore.Http;

namespace LdlVk.Server.Http;

/// <summary>Refuses requests from other sites, and requests without the API key. Stateless.</summary>
/// <param name="apiKey">The key that requests need; null if they need none.</param>
/// <param name="hosts">The names of the server.</param>
internal sealed class Guard(string? apiKey, HostNames hosts)
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
        if (!hosts.Allow(request.Host.Host))
            throw new RequestException(
                403,
                $"The Host header names another machine, {Readable.Quoted(request.Host.Host)}. Ask for the server by its own name, "
                + $"or start it with that name as allowed host.");
        // A foreign page can send requests, although it cannot read the answers. Every browser states the origin of such requests.
        string? origin = request.Headers.Origin;
        bool foreign = !string.IsNullOrEmpty(origin)
            && !(Uri.TryCreate(origin, UriKind.Absolute, out Uri? from)
                && (from.Authority.Equals(Authority(request), StringComparison.OrdinalIgnoreCase) || hosts.IsNamed(from.Host)));
        if (foreign || request.Headers["Sec-Fetch-Site"] == "cross-site")
            throw new RequestException(
                403,
                "The request comes from a page of another site. Behind a proxy, start the server with its public name as allowed host.");
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

    // Like Uri.Authority, which omits the default port of the scheme.
    private static string Authority(HttpRequest request) =>
        request.Host.Port is null || request.Host.Port == (request.IsHttps ? 443 : 80) ? request.Host.Host : request.Host.Value!;
}
