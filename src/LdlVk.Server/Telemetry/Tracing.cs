using System.Diagnostics;
using OpenTelemetry;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace LdlVk.Server.Telemetry;

/// <summary>
/// OpenTelemetry traces: a span for each request, with children for reading its texts and for waiting, and one for each batch.
/// </summary>
internal static class Tracing
{
    private const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";

    /// <summary>Where our spans come from.</summary>
    public static readonly ActivitySource Source = new("LdlVk.Server");

    /// <summary>Sends spans over OTLP, to where the environment variables of OpenTelemetry say; null if they name no place.</summary>
    public static IDisposable? Start()
    {
        if (string.IsNullOrEmpty(Environment.GetEnvironmentVariable(EndpointVariable))) return null;
        // Without it the requests' spans have neither method, route nor status. Read when the web host is built.
        AppContext.SetSwitch("Microsoft.AspNetCore.Hosting.SuppressActivityOpenTelemetryData", false);
        return Sdk.CreateTracerProviderBuilder()
            .ConfigureResource(resource => resource.AddService("ldlvk").AddEnvironmentVariableDetector())
            // ASP.NET Core's own spans are those of the requests; they carry on the caller's trace (traceparent).
            .AddSource(Source.Name, "Microsoft.AspNetCore")
            .AddOtlpExporter()
            .Build();
    }
}
