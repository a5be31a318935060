using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace LdlVk.Extensions.AI;

/// <summary>Scores on a server, with its <c>POST /v1/rewards</c>. Numbers in JSON parse to the bits that the server computed.</summary>
internal sealed class ServerRewards : IRewardSource
{
    private const int MaxAttempts = 6;

    private readonly HttpClient _client;
    private readonly Uri _address;
    private readonly string _model;

    private ServerRewards(HttpClient client, Uri address, string model, string[] attributes)
    {
        (_client, _address, _model, Attributes) = (client, address, model, attributes);
        Metadata = new Dictionary<string, string> { ["model"] = model };
    }

    public IReadOnlyList<string> Attributes { get; }

    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Asks the server which model it has.</summary>
    public static async Task<ServerRewards> ConnectAsync(HttpClient client, CancellationToken cancellationToken)
    {
        if (client.BaseAddress is not { } address)
            throw new ArgumentException(
                "The client's BaseAddress is null. Set it to the server's address, such as http://127.0.0.1:8000.", nameof(client));
        // Without the slash the last part of a path would be replaced by the endpoint's.
        if (!address.AbsolutePath.EndsWith('/')) address = new UriBuilder(address) { Path = address.AbsolutePath + "/" }.Uri;
        try
        {
            using JsonDocument answer = await CallAsync(client, address, "v1/models", null, cancellationToken).ConfigureAwait(false);
            JsonElement model = answer.RootElement.GetProperty("data")[0];
            return new ServerRewards(
                client, address, model.GetProperty("id").GetString()!,
                [.. model.GetProperty("attributes").EnumerateArray().Select(name => name.GetString()!)]);
        }
        catch (RewardFailedException e)
        {
            throw new HttpRequestException(e.Message, e.InnerException, (e.InnerException as HttpRequestException)?.StatusCode);
        }
        catch (Exception e) when (IsOtherJson(e))
        {
            throw new HttpRequestException(OtherServer(address), e);
        }
    }

    public async Task<Reward> ScoreAsync(Conversation conversation, RewardEvaluatorOptions options, CancellationToken cancellationToken)
    {
        byte[] body = Body(conversation, options);
        using JsonDocument answer = await CallAsync(_client, _address, "v1/rewards", body, cancellationToken).ConfigureAwait(false);
        try
        {
            if (answer.RootElement.GetProperty("model").GetString() is var model && model != _model)
                throw new RewardFailedException(
                    $"The server has the model {model} now, and had {_model} when the evaluator was created. Create the evaluator anew.");
            return RewardOf(answer.RootElement.GetProperty("data")[0]);
        }
        catch (Exception e) when (IsOtherJson(e))
        {
            throw new RewardFailedException(OtherServer(_address), e);
        }
    }

    private static byte[] Body(Conversation conversation, RewardEvaluatorOptions options)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes))
        {
            json.WriteStartObject();
            json.WriteStartArray("messages");
            foreach (Message message in conversation.Messages)
            {
                json.WriteStartObject();
                json.WriteString("role", message.Role);
                json.WriteString("content", message.Content);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteBoolean("details", options.IncludeAttributes);
            json.WriteString("special_tokens", options.SpecialTokens == SpecialTokens.Text ? "text" : "tokens");
            json.WriteEndObject();
        }

        return bytes.ToArray();
    }

    private static Reward RewardOf(JsonElement entry)
    {
        ImmutableArray<float> rewards = entry.TryGetProperty("rewards", out JsonElement lists)
            ? [.. lists.EnumerateArray().SelectMany(list => Numbers(list))] : [];
        return new Reward(
            entry.GetProperty("score").GetSingle(), entry.GetProperty("tokens").GetInt32(), Optional("distribution"), Optional("weights"),
            rewards)
        {
            AttributeScores = Optional("attributes"),
            AdjustedScores = Optional("adjusted"),
            Quantiles = entry.TryGetProperty("quantiles", out JsonElement quantiles)
                ? [.. quantiles.EnumerateArray().SelectMany(list => Numbers(list))] : [],
            Steps = Optional("steps"),
        };

        ImmutableArray<float> Optional(string name) => entry.TryGetProperty(name, out JsonElement list) ? [.. Numbers(list)] : [];

        static IEnumerable<float> Numbers(JsonElement list) => list.EnumerateArray().Select(number => number.GetSingle());
    }

    /// <summary>Calls an endpoint; a busy server is called again when it says.</summary>
    private static async Task<JsonDocument> CallAsync(
        HttpClient client, Uri address, string path, byte[]? body, CancellationToken cancellationToken)
    {
        for (int attempt = 1; ; attempt++)
        {
            using HttpRequestMessage request = new(body is null ? HttpMethod.Get : HttpMethod.Post, new Uri(address, path));
            if (body is not null)
                request.Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
            TimeSpan wait;
            try
            {
                using HttpResponseMessage response = await client.SendAsync(request, cancellationToken).ConfigureAwait(false);
                byte[] answer = await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
                if (response.IsSuccessStatusCode) return JsonDocument.Parse(answer);
                // A proxy before several servers answers 502 and 504 while it finds none that works.
                bool isBusy = response.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable
                    or HttpStatusCode.BadGateway or HttpStatusCode.GatewayTimeout;
                if (!isBusy || attempt == MaxAttempts) throw Refused(client, address, response, answer);
                wait = WaitOf(response, attempt);
            }
            catch (HttpRequestException e)
            {
                throw new RewardFailedException(
                    $"The server {address} cannot be reached: {e.InnerException?.Message ?? e.Message} "
                        + "Start it with ldlvk serve, or correct the BaseAddress of the HttpClient.", e);
            }
            catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
            {
                string seconds = client.Timeout.TotalSeconds.ToString(CultureInfo.InvariantCulture);
                throw new RewardFailedException(
                    $"The server {address} did not answer within {seconds} s. Set a larger Timeout of the HttpClient.", e);
            }
            catch (JsonException e)
            {
                throw new RewardFailedException(OtherServer(address), e);
            }

            await Task.Delay(wait, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The time that the server asks for, at most 60 s; else 0.5, 1, 2, … s.</summary>
    private static TimeSpan WaitOf(HttpResponseMessage response, int attempt)
    {
        TimeSpan wait = response.Headers.RetryAfter?.Delta ?? TimeSpan.FromSeconds(0.25 * (1 << attempt));
        return wait > TimeSpan.FromSeconds(60) ? TimeSpan.FromSeconds(60) : wait;
    }

    private static RewardFailedException Refused(HttpClient client, Uri address, HttpResponseMessage response, byte[] answer)
    {
        string reason = ReasonOf(answer) ?? response.ReasonPhrase ?? "";
        int status = (int)response.StatusCode;
        bool hasKey = client.DefaultRequestHeaders.Authorization is not null || client.DefaultRequestHeaders.Contains("X-API-Key");
        string message = response.StatusCode switch
        {
            HttpStatusCode.Unauthorized when hasKey =>
                $"The server {address} refuses the key (401): correct the Authorization header in the HttpClient's DefaultRequestHeaders.",
            HttpStatusCode.Unauthorized =>
                $"The server {address} needs a key (401): set the Authorization header to Bearer and the server's key, "
                    + "in the HttpClient's DefaultRequestHeaders.",
            HttpStatusCode.UnprocessableEntity => $"The server refuses the conversation: {reason}",
            HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed => $"{OtherServer(address)} It answers {status}: {reason}",
            _ => $"The server {address} answers {status}: {reason}",
        };
        return new RewardFailedException(message, new HttpRequestException(message, null, response.StatusCode));
    }

    /// <summary>What a problem document says of the first text, or of the request; null if it is none.</summary>
    private static string? ReasonOf(byte[] answer)
    {
        try
        {
            using JsonDocument json = JsonDocument.Parse(answer);
            if (json.RootElement.TryGetProperty("errors", out JsonElement errors) && errors.GetArrayLength() > 0)
                return errors[0].GetProperty("reason").GetString();
            return json.RootElement.GetProperty("detail").GetString();
        }
        catch (Exception e) when (IsOtherJson(e))
        {
            return null;
        }
    }

    private static bool IsOtherJson(Exception e) =>
        e is JsonException or KeyNotFoundException or InvalidOperationException or IndexOutOfRangeException or FormatException;

    private static string OtherServer(Uri address) =>
        $"What answers at {address} is not ldlvk serve. Set the BaseAddress of the HttpClient to the address that ldlvk serve prints.";
}
