using System.Buffers;
using System.Text.Json;
using LdlVk.Datasets.Items;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http;

namespace LdlVk.Server.Http;

/// <summary>Reads request bodies: JSON of limited size and depth. Thread-safe.</summary>
/// <param name="maxBytes">Maximum size of a body in bytes.</param>
/// <param name="memory">The memory budget that bodies count against.</param>
internal sealed class RequestBody(int maxBytes, ByteBudget memory)
{
    /// <summary>Maximum nesting depth; the protocols need 4.</summary>
    private const int MaxDepth = 16;

    // Reading texts, mostly tokenization, is CPU-bound: more requests at a time would only need more memory.
    private readonly SemaphoreSlim _readers = new(Environment.ProcessorCount);

    /// <summary>Reads a body and hands it to <paramref name="use"/>; its bytes count against the budget until that returns.</summary>
    /// <exception cref="RequestException">The body is too large, or not a JSON object.</exception>
    public async Task<T> ReadAsync<T>(HttpRequest request, Func<JsonElement, T> use)
    {
        if (request.Headers.ContentEncoding.Count > 0) throw new RequestException(415, "The body is compressed. Send it uncompressed.");
        if (request.ContentLength > maxBytes) throw TooLarge();
        ArrayBufferWriter<byte> bytes = new();
        long taken = 0;
        try
        {
            while (true)
            {
                Memory<byte> room = bytes.GetMemory(4096);
                int read = await request.Body.ReadAsync(room, request.HttpContext.RequestAborted).ConfigureAwait(false);
                if (read == 0) break;
                bytes.Advance(read);
                memory.Take(read);
                taken += read;
                if (taken > maxBytes) throw TooLarge();
            }

            await _readers.WaitAsync(request.HttpContext.RequestAborted).ConfigureAwait(false);
            try
            {
                return Parse(bytes.WrittenMemory, use);
            }
            finally
            {
                _readers.Release();
            }
        }
        finally
        {
            memory.Return(taken);
        }
    }

    private RequestException TooLarge() => new(413, $"The body has more than {maxBytes} bytes. Send fewer texts in a request.");

    private static T Parse<T>(ReadOnlyMemory<byte> bytes, Func<JsonElement, T> use)
    {
        if (bytes.IsEmpty) throw new RequestException(400, "The body is empty. Send a JSON object.");
        if (!Utf8.IsValid(bytes.Span)) throw new RequestException(400, "The body is not valid UTF-8.");
        try
        {
            using JsonDocument json = JsonDocument.Parse(
                bytes, new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
            if (json.RootElement.ValueKind != JsonValueKind.Object)
                throw new RequestException(400, $"The body is {JsonFields.Kind(json.RootElement)}, not an object {{…}}.");
            return use(json.RootElement);
        }
        catch (JsonException e)
        {
            throw new RequestException(
                400,
                $"The body is not valid JSON at line {e.LineNumber + 1}, byte {e.BytePositionInLine}: "
                + $"{e.Message.Split(" LineNumber:")[0]}");
        }
        catch (InvalidOperationException)
        {
            // System.Text.Json reports an escaped lone surrogate with this exception.
            throw new RequestException(400, "The body holds a string that is not valid Unicode: half of a surrogate pair.");
        }
    }
}
