using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace LdlVk.Server.OpenApi;

/// <summary>
/// Completes the schemas that ASP.NET Core generates from the types of bodies: adds alternatives, and the allowed values of strings.
/// </summary>
internal static class BodySchema
{
    public static async Task TransformAsync(
        OpenApiSchema schema, OpenApiSchemaTransformerContext context, CancellationToken cancellationToken)
    {
        if (context.JsonPropertyInfo?.AttributeProvider is { } property)
        {
            if (First<AllowedValuesAttribute>(property) is { Values: [string only] })
                (schema.Const, schema.Type) = (only, JsonSchemaType.String);
            else if (First<AllowedValuesAttribute>(property) is { } allowed)
                schema.Enum = [.. allowed.Values.Select(value => (JsonNode)(string)value!)];
            // A field that is omitted if it is null never has the value null.
            if (First<JsonIgnoreAttribute>(property) is { Condition: JsonIgnoreCondition.WhenWritingNull })
                schema.Type &= ~JsonSchemaType.Null;
        }

        if (context.JsonTypeInfo.Type.GetCustomAttribute<OneOfAttribute>() is not { } oneOf || schema.OneOf is { Count: > 0 }) return;
        schema.OneOf = [];
        // Each alternative has a JSON type of its own; the union has none.
        if (schema.Properties is null or { Count: 0 }) schema.Type = null;
        foreach (Type type in oneOf.Alternatives)
        {
            OpenApiSchema alternative = await context.GetOrCreateSchemaAsync(type, null, cancellationToken).ConfigureAwait(false);
            if (alternative.Type == JsonSchemaType.Object)
            {
                string name = OpenApiOptions.CreateDefaultSchemaReferenceId(context.JsonTypeInfo.Options.GetTypeInfo(type)) ?? type.Name;
                context.Document!.AddComponent(name, alternative);
                schema.OneOf.Add(new OpenApiSchemaReference(name, context.Document));
            }
            else
            {
                schema.OneOf.Add(alternative);
            }
        }
    }

    /// <summary>
    /// Replaces inlined alternatives by references to their schemas, and "null or any value" by "any value".
    /// </summary>
    public static void Shorten(OpenApiDocument document)
    {
        if (document.Components?.Schemas is not { } schemas) return;
        foreach (OpenApiSchema schema in schemas.Values.OfType<OpenApiSchema>())
        {
            schema.OneOf = schema.OneOf?.Select(Referenced).ToList();
            foreach ((string name, IOpenApiSchema property) in schema.Properties?.ToArray() ?? [])
                if (property.OneOf is [
                    { Type: JsonSchemaType.Null },
                    { Type: null, OneOf: null or { Count: 0 }, Properties: null or { Count: 0 } } any])
                    schema.Properties![name] = new OpenApiSchema { Description = any.Description };
        }

        schemas.Remove(nameof(System.Text.Json.JsonElement));

        IOpenApiSchema Referenced(IOpenApiSchema alternative)
        {
            if (alternative is not OpenApiSchema schema) return alternative;
            if (schema.Metadata?.TryGetValue("x-schema-id", out object? value) == true
                && value is string { Length: > 0 } id
                && schemas.ContainsKey(id))
                return new OpenApiSchemaReference(id, document);
            if (schema.Items is { } items) schema.Items = Referenced(items);
            return schema;
        }
    }

    private static T? First<T>(ICustomAttributeProvider provider)
        where T : Attribute => (T?)provider.GetCustomAttributes(typeof(T), inherit: false).FirstOrDefault();
}
