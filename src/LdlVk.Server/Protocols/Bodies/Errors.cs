using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using LdlVk.Server.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace LdlVk.Server.Protocols.Bodies;

/// <summary>An error as <c>application/problem+json</c> (RFC 9457).</summary>
internal sealed record Problem
{
    public const string ContentType = "application/problem+json";

    [AllowedValues("about:blank")]
    public string Type => "about:blank";

    public required string Title { get; init; }

    public required int Status { get; init; }

    public required string Detail { get; init; }

    [Description("The texts that are wrong"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<TextError>? Errors { get; init; }

    public static Problem Of(RequestException error) => new()
    {
        Title = ReasonPhrases.GetReasonPhrase(error.Status), Status = error.Status, Detail = error.Message, Errors = error.ErrorsOrNull,
    };
}

/// <summary>An error in the format of FastAPI, which the servers of OpenRLHF and LLaMA-Factory use.</summary>
internal sealed record FastApiError
{
    public required string Detail { get; init; }

    [Description("The texts that are wrong"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<TextError>? Errors { get; init; }

    public static FastApiError Of(RequestException error) => new() { Detail = error.Message, Errors = error.ErrorsOrNull };
}

/// <summary>An error of vLLM.</summary>
internal sealed record VllmError
{
    public required VllmErrorBody Error { get; init; }
}

/// <summary>The contents of vLLM's errors.</summary>
internal sealed record VllmErrorBody
{
    public required string Message { get; init; }

    public required string Type { get; init; }

    public string? Param => null;

    public required int Code { get; init; }

    [Description("The texts that are wrong"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<TextError>? Errors { get; init; }
}

/// <summary>An error of SGLang, with OpenAI's <c>error</c> beside it, which OpenAI's clients read.</summary>
internal sealed record SgLangError
{
    public required VllmErrorBody Error { get; init; }

    [AllowedValues("error")]
    public string Object => "error";

    public required string Message { get; init; }

    public required string Type { get; init; }

    public string? Param => null;

    public required int Code { get; init; }

    [Description("The texts that are wrong"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<TextError>? Errors { get; init; }
}

/// <summary>An error of text-embeddings-inference.</summary>
internal sealed record TeiError
{
    public required string Error { get; init; }

    [AllowedValues("Unhealthy", "Backend", "Overloaded", "Validation", "Tokenizer")]
    public required string ErrorType { get; init; }

    [Description("The texts that are wrong"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<TextError>? Errors { get; init; }
}
