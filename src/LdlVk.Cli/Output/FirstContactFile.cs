using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LdlVk.Datasets.Items;

namespace LdlVk.Cli.Output;

/// <summary>
/// The file of a first contact. It is written before and after each step: should a driver end the process, it says where, and the next
/// start reads that.
/// </summary>
internal sealed class FirstContactFile : IDisposable
{
    /// <summary>Its usual name.</summary>
    public const string Name = "first-contact.json";

    private const int MaxBytes = 64 << 20;

    private readonly JsonObject _root;
    private readonly JsonArray _devices = [];
    private JsonObject? _device;

    /// <summary>Opens the file. One that a run left in the middle is kept under another name.</summary>
    /// <exception cref="UsageException">It cannot be written.</exception>
    public FirstContactFile(string path)
    {
        Path = System.IO.Path.GetFullPath(path);
        EndedPath = System.IO.Path.ChangeExtension(Path, null) + "-ended.json";
        EndedAt = Ended();
        _root = new JsonObject
        {
            ["first_contact"] = 1,
            ["date"] = DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
            ["at"] = "begin",
            ["ended_before_at"] = EndedAt,
            ["devices"] = _devices,
        };
        try
        {
            if (EndedAt is not null) File.Move(Path, EndedPath, overwrite: true);
            Save();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{Path} cannot be written: {e.Message} Give --output a file in a folder of yours.");
        }
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Where a run before this one ended in the middle; null if none did.</summary>
    public string? EndedAt { get; }

    /// <summary>The file of that run.</summary>
    public string EndedPath { get; }

    /// <summary>Begins a device with a first step.</summary>
    public void BeginDevice(DeviceInfo device, string step)
    {
        _device = new JsonObject { ["device"] = device.Id, ["name"] = device.Name, ["driver"] = device.Driver };
        _devices.Add((JsonNode)_device);
        Begin(step);
    }

    /// <summary>Begins a step.</summary>
    public void Begin(string step)
    {
        _root["at"] = _device is null ? step : $"{step} on {_device["device"]} ({_device["name"]}), driver {_device["driver"]}";
        Save();
    }

    /// <summary>Adds members to the device's object, or a value to an array of it.</summary>
    /// <param name="write">Writes them.</param>
    /// <param name="array">The array; null for members.</param>
    public void Add(Action<Utf8JsonWriter> write, string? array = null)
    {
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream))
        {
            if (array is null) json.WriteStartObject();
            write(json);
            if (array is null) json.WriteEndObject();
        }

        JsonNode value = JsonNode.Parse(stream.ToArray())!;
        if (array is not null)
        {
            if (_device![array] is not JsonArray values) _device[array] = values = [];
            values.Add((JsonNode?)value);
        }
        else
        {
            foreach ((string name, JsonNode? member) in value.AsObject().ToArray())
            {
                value.AsObject().Remove(name);
                _device![name] = member;
            }
        }

        Save();
    }

    /// <summary>Ends a device.</summary>
    public void EndDevice() => _device = null;

    /// <summary>Says that the run came to its end.</summary>
    public void Finish()
    {
        _root.Remove("at");
        Save();
    }

    /// <summary>A run that is stopped or fails in an orderly way has not met a crash.</summary>
    public void Dispose()
    {
        if (!_root.ContainsKey("at")) return;
        _root["stopped_at"] = _root["at"]!.DeepClone();
        Finish();
    }

    private string? Ended()
    {
        try
        {
            if (!File.Exists(Path) || new FileInfo(Path).Length > MaxBytes) return null;
            return JsonNode.Parse(File.ReadAllBytes(Path)) is JsonObject file && file["first_contact"] is not null
                && file["at"] is JsonValue at && at.TryGetValue(out string? step) ? step : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or ArgumentException)
        {
            return null;
        }
    }

    private void Save()
    {
        string temporary = Path + ".tmp";
        using (FileStream stream = File.Create(temporary))
        using (Utf8JsonWriter json = new(stream, RewardJson.Indented))
            _root.WriteTo(json);
        File.Move(temporary, Path, overwrite: true);
    }
}
