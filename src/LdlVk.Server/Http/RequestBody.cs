using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using LdlVk.Datasets.Items;
using LdlVk.Runtime.Formatting;
using Microsoft.AspNetCore.Http;

namespace LdlVk.Server.Http;

/// <summary>Reads request bodies: JSON of limited size and depth. Thread-safe.</summary>
/// <param name="options">The limits.</param>
/// <param name="memory">The memory budget that bodies count against.</param>
internal sealed class RequestBody(ServerOptions options, ByteBudget memory) : IDisposable
{
    /// <summary>Values of a body beside the token ids.</summary>
    private const int OtherValues = 1 << 18;

    /// <summary>Characters of the reader's message that are shown: it may quote a name of any length.</summary>
    private const int MaxReason = 200;

    private readonly ReadingThreads _threads = new();

    /// <summary>The contents of the largest body so far on each reading thread, which JSON needs in one piece.</summary>
    private readonly ThreadLocal<byte[]> _whole = new(() => []);

    /// <summary>Reads a body and hands it to <paramref name="use"/>; it counts against the budget until that returns.</summary>
    /// <exception cref="RequestException">The body is too large, or not a JSON object.</exception>
    public async Task<T> ReadAsync<T>(HttpRequest request, Func<JsonElement, T> use)
    {
        CancellationToken cancellationToken = request.HttpContext.RequestAborted;
        if (request.Headers.ContentEncoding.Count > 0) throw new RequestException(415, "The body is compressed. Send it uncompressed.");
        if (request.ContentLength > options.MaxBodyBytes) throw TooLarge();
        using PooledBuffer body = new(memory);
        while (true)
        {
            int read = await ReadAsync(request, body.GetMemory(), cancellationToken).ConfigureAwait(false);
            if (read == 0) break;
            body.Advance(read);
            if (body.Length > options.MaxBodyBytes) throw TooLarge();
        }

        return await _threads.RunAsync(body.Length, () => Parse(body, use), cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask<int> ReadAsync(HttpRequest request, Memory<byte> memory, CancellationToken cancellationToken)
    {
        try
        {
            return await request.Body.ReadAsync(memory, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException e) when (e.GetType() == typeof(IOException) && !cancellationToken.IsCancellationRequested)
        {
            // Kestrel reports a chunk whose size does not fit into a number with this exception.
            throw new RequestException(400, "The request is not valid HTTP.");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _threads.Dispose();

    private RequestException TooLarge() => new(413, $"The body has more than {options.MaxBodyBytes} bytes. Send fewer texts in a request.");

    private T Parse<T>(PooledBuffer body, Func<JsonElement, T> use)
    {
        if (_whole.Value!.Length < body.Length) _whole.Value = GC.AllocateUninitializedArray<byte>(body.Length);
        body.CopyTo(_whole.Value);
        Memory<byte> bytes = _whole.Value.AsMemory(0, body.Length);
        // The pieces are free for other bodies while this one is read.
        body.Dispose();
        return Parse(bytes, use);
    }

    private T Parse<T>(ReadOnlyMemory<byte> bytes, Func<JsonElement, T> use)
    {
        if (bytes.IsEmpty) throw new RequestException(400, "The body is empty. Send a JSON object.");
        if (!Utf8.IsValid(bytes.Span)) throw new RequestException(400, "The body is not valid UTF-8.");
        try
        {
            JsonLimits.Check(bytes.Span, (long)options.MaxQueueTokens + OtherValues);
            using JsonDocument json = JsonDocument.Parse(
                bytes, new JsonDocumentOptions { MaxDepth = JsonLimits.MaxDepth, AllowDuplicateProperties = false });
            if (json.RootElement.ValueKind != JsonValueKind.Object)
                throw new RequestException(400, $"The body is {JsonFields.Kind(json.RootElement)}, not an object {{…}}.");
            return use(json.RootElement);
        }
        catch (JsonException e)
        {
            // The reader states no place for a name that is there twice.
            string at = e.LineNumber is { } line
                ? string.Create(CultureInfo.InvariantCulture, $" at line {line + 1}, byte {e.BytePositionInLine}")
                : "";
            throw new RequestException(
                400, $"The body is not valid JSON{at}: {Readable.OneLine(JsonReason.Of(e), MaxReason)}");
        }
        catch (InvalidOperationException)
        {
            // System.Text.Json reports an escaped lone surrogate with this exception.
            throw new RequestException(400, "The body holds a string that is not valid Unicode: half of a surrogate pair.");
        }
    }
}
