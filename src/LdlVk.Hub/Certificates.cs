using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Hub;

/// <summary>Remembers why a server's certificate was refused, which .NET's exception does not say.</summary>
internal sealed class Certificates
{
    private volatile string? _refused;

    /// <summary>The certificate that was refused last, and why; null if none was.</summary>
    public string? Refused => _refused;

    /// <summary>Accepts what the system accepts.</summary>
    public bool Check(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (errors == SslPolicyErrors.None) return true;
        List<string> why = [];
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNotAvailable)) why.Add("the server gave none");
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch)) why.Add("it is for another host");
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
            why.AddRange((chain?.ChainStatus ?? []).Select(status => status.StatusInformation.Trim().TrimEnd('.')).Distinct());
        string issuer = certificate is null ? "" : $", issued by {Readable.OneLine(certificate.Issuer, 100)},";
        _refused = $"its certificate{issuer} is not trusted: {Readable.OneLine(string.Join("; ", why), 200)}";
        return false;
    }
}
