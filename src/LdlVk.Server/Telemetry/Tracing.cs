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

    /// <summary>The source of the server's spans.</summary>
    public static readonly ActivitySource Source = new("LdlVk.Server");

    /// <summary>Exports spans over OTLP to the endpoint that OpenTelemetry's environment variables name; null if they name none.</summary>
    public static IDisposable? Start()
    {
        if (string.IsNullOrEmpty(Environment.GetEnvironmentVariable(EndpointVariable))) return null;
        // Without this switch, the requests' spans have no method, route or status. The web host reads it when it is built.
        AppContext.SetSwitch("Microsoft.AspNetCore.Hosting.SuppressActivityOpenTelemetryData", false);
        return Sdk.CreateTracerProviderBuilder()
            .ConfigureResource(resource => resource.AddService("ldlvk").AddEnvironmentVariableDetector())
            // ASP.NET Core creates the spans of requests; they continue the client's trace (traceparent).
            .AddSource(Source.Name, "Microsoft.AspNetCore")
            .AddOtlpExporter()
            .Build();
    }
}
