using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace LdlVk.Server.Http;

/// <summary>Who may ask. Stateless.</summary>
internal sealed class Guard(string? apiKey, bool onlyLoopback)
{
    private const string Bearer = "Bearer ";

    // Of a hash even the length tells nothing.
    private readonly byte[]? _key = apiKey is null ? null : SHA256.HashData(Encoding.UTF8.GetBytes(apiKey));

    /// <summary>Throws unless the request may go on.</summary>
    /// <param name="request">The request.</param>
    /// <param name="needsKey">Whether it needs the key, where there is one.</param>
    public void Check(HttpRequest request, bool needsKey)
    {
        // A page of anybody's whose name leads to 127.0.0.1 (DNS rebinding) has that name as host.
        if (onlyLoopback && !IsLoopback(request.Host.Host))
            throw new RequestException(403, "The header Host names another machine, and this server answers its own machine alone.");
        // A page of anybody's may send requests without reading the answers: no browser sends them without saying where from.
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

    // As Uri.Authority, which leaves out HTTP's own port.
    private static string Authority(HttpRequest request) => request.Host.Port is null or 80 ? request.Host.Host : request.Host.Value!;
}
