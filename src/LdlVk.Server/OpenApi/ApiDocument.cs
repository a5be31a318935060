using System.Reflection;
using System.Text.Json.Serialization;
using LdlVk.Server.Protocols.Bodies;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;

namespace LdlVk.Server.OpenApi;

/// <summary>The OpenAPI description of the server's endpoints, generated from their types on first use. Thread-safe.</summary>
internal sealed class ApiDocument
{
    private const string Name = "ldlvk", AnyType = "*/*";

    private readonly Lazy<Task<byte[]>> _json;

    /// <param name="services">The application's services.</param>
    public ApiDocument(IServiceProvider services) => _json = new Lazy<Task<byte[]>>(() => Task.Run(() => GenerateAsync(services)));

    /// <summary>The description as JSON.</summary>
    public Task<byte[]> Json => _json.Value;

    /// <summary>Adds the services that generate the description.</summary>
    public static void AddTo(IServiceCollection services)
    {
        services.ConfigureHttpJsonOptions(options =>
        {
            options.SerializerOptions.TypeInfoResolver = BodyJson.Default;
            options.SerializerOptions.PropertyNamingPolicy = BodyJson.Default.Options.PropertyNamingPolicy;
            options.SerializerOptions.RespectNullableAnnotations = true;
            options.SerializerOptions.NumberHandling = JsonNumberHandling.Strict;
        });
        services.AddOpenApi(Name, options =>
        {
            options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
            options.CreateSchemaReferenceId = type => type.Type == typeof(System.Text.Json.JsonElement)
                ? null
                : OpenApiOptions.CreateDefaultSchemaReferenceId(type);
            options.AddSchemaTransformer(BodySchema.TransformAsync);
            options.AddOperationTransformer(DescribeAsync);
            options.AddDocumentTransformer(DescribeAsync);
        });
    }

    /// <summary>Describes an endpoint.</summary>
    public static void Describe(IEndpointConventionBuilder endpoint, RequestDelegate answer, Operation operation)
    {
        // ASP.NET Core describes an endpoint only if its metadata names a method.
        endpoint.WithMetadata(answer.Method, operation).WithName(operation.Id).WithSummary(operation.Summary).WithTags(operation.Tag);
        // Any type: with "application/json" here, routing would refuse with 415 what clients send without a type or with curl's default.
        if (operation.Request is { } request) endpoint.WithMetadata(new AcceptsMetadata([AnyType], request));
        endpoint.WithMetadata(new ProducesResponseTypeMetadata(200, operation.Answer, [operation.AnswerType]));
        foreach (int status in operation.ErrorStatuses)
            endpoint.WithMetadata(new ProducesResponseTypeMetadata(status, operation.Error, [operation.ErrorType]));
    }

    private static async Task<byte[]> GenerateAsync(IServiceProvider services)
    {
        IOpenApiDocumentProvider provider = services.GetRequiredKeyedService<IOpenApiDocumentProvider>(Name);
        OpenApiDocument document = await provider.GetOpenApiDocumentAsync(CancellationToken.None).ConfigureAwait(false);
        using MemoryStream json = new();
        await document.SerializeAsJsonAsync(json, OpenApiSpecVersion.OpenApi3_1, CancellationToken.None).ConfigureAwait(false);
        return json.ToArray();
    }

    private static Task DescribeAsync(
        OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        if (context.Description.ActionDescriptor.EndpointMetadata.OfType<Operation>().FirstOrDefault() is not { } described)
            return Task.CompletedTask;
        // The empty requirement is an alternative to the key: a server without a key accepts every request.
        operation.Security = described.NeedsKey ? [[], Requirement("bearer"), Requirement("key")] : [[]];
        if (operation.RequestBody?.Content is { } content && content.Remove(AnyType, out OpenApiMediaType? body))
        {
            content["application/json"] = body;
            if (described.Example is { } example) body.Example = System.Text.Json.Nodes.JsonNode.Parse(example);
        }

        if (context.Description.RelativePath?.EndsWith("id}", StringComparison.Ordinal) == true)
        {
            operation.Parameters =
            [
                new OpenApiParameter
                {
                    Name = "id", In = ParameterLocation.Path, Required = true, Schema = new OpenApiSchema { Type = JsonSchemaType.String },
                },
            ];
        }

        foreach ((string status, IOpenApiResponse response) in operation.Responses ?? [])
        {
            response.Description = DescriptionOf(status, described);
            if (status != "429" || response is not OpenApiResponse refusal) continue;
            refusal.Headers = new Dictionary<string, IOpenApiHeader>
            {
                ["Retry-After"] = new OpenApiHeader
                {
                    Description = "Seconds to wait before a retry, estimated from the throughput",
                    Schema = new OpenApiSchema { Type = JsonSchemaType.Integer },
                },
            };
        }

        return Task.CompletedTask;

        OpenApiSecurityRequirement Requirement(string scheme) =>
            new() { [new OpenApiSecuritySchemeReference(scheme, context.Document)] = [] };
    }

    private static string DescriptionOf(string status, Operation operation) => status switch
    {
        "200" => operation.Request is null ? operation.Summary : "Scores",
        "400" => "The body is not JSON, or does not have the fields of the endpoint",
        "401" => "The API key is missing or wrong",
        "403" => "The request comes from a page of another site, or its Host header names another machine",
        "413" => "There are too many texts, tokens or bytes",
        "422" => "Texts cannot be scored; the answer has their indices and the reasons",
        "424" => "The device failed",
        "429" => "The queue is full; Retry-After says when to try again",
        "500" => "Internal error of the server",
        "503" => "The server is stopping, or the device failed",
        _ => status,
    };

    private static Task DescribeAsync(
        OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancellationToken)
    {
        string? version = typeof(ApiDocument).Assembly
            .GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;
        document.Info = new OpenApiInfo
        {
            Title = "LdlVk reward server",
            Version = version?.Split('+')[0] ?? "0",
            Description =
                "Scores of a reward model in the protocols of trainers and tools. "
                + "probs, embedding and data hold the one raw score; any model name is accepted.",
            License = new OpenApiLicense { Name = "MIT", Identifier = "MIT" },
        };
        document.Servers = [new OpenApiServer { Url = "/", Description = "The server that sent this description" }];
        document.Components ??= new OpenApiComponents();
        document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
        {
            ["bearer"] = new OpenApiSecurityScheme
            {
                Type = SecuritySchemeType.Http,
                Scheme = "bearer",
                Description = "Authorization: Bearer KEY",
            },
            ["key"] = new OpenApiSecurityScheme
            {
                Type = SecuritySchemeType.ApiKey,
                In = ParameterLocation.Header,
                Name = "X-API-Key",
                Description = "X-API-Key: KEY",
            },
        };
        BodySchema.Shorten(document);
        // HEAD needs no description of its own: Kestrel answers it wherever there is GET.
        foreach (IOpenApiPathItem path in document.Paths.Values) path.Operations?.Remove(HttpMethod.Head);
        foreach (OpenApiTag tag in document.Tags ?? new HashSet<OpenApiTag>())
            tag.Description = tag.Name == "server" ? "The server itself" : $"The protocol of {tag.Name}";
        return Task.CompletedTask;
    }
}
