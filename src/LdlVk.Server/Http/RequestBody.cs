using System.Buffers;
using System.Text.Json;
using LdlVk.Datasets.Items;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http;

namespace LdlVk.Server.Http;

/// <summary>Reads bodies: JSON of bounded size and depth. Thread-safe.</summary>
/// <param name="most">Bytes of a body at most.</param>
/// <param name="memory">What bodies take of memory is taken of this.</param>
internal sealed class RequestBody(int most, ByteBudget memory)
{
    /// <summary>The protocols nest 4 deep.</summary>
    private const int MaxDepth = 16;

    // Reading texts, tokenising above all, is work for processors: more at a time would only take more memory.
    private readonly SemaphoreSlim _readers = new(Environment.ProcessorCount);

    /// <summary>Reads a body and hands it to <paramref name="use"/>; its bytes count until that is done.</summary>
    /// <exception cref="RequestException">It is too large, or no JSON object.</exception>
    public async Task<T> ReadAsync<T>(HttpRequest request, Func<JsonElement, T> use)
    {
        if (request.Headers.ContentEncoding.Count > 0) throw new RequestException(415, "The body is compressed. Send it as it is.");
        if (request.ContentLength > most) throw TooLarge();
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
                if (taken > most) throw TooLarge();
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

    private RequestException TooLarge() => new(413, $"The body has more than {most} bytes. Send fewer texts in a request.");

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
            // How System.Text.Json reports an escaped lone surrogate.
            throw new RequestException(400, "The body holds a string that is not valid Unicode: half of a surrogate pair.");
        }
    }
}
