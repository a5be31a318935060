using System.Text.Json;

namespace LdlVk.Testing;

/// <summary>Outputs of the reference for one text in one mode.</summary>
/// <param name="Score">The score.</param>
/// <param name="Hidden">The last token's hidden state after the final norm.</param>
/// <param name="Weights">Gate outputs: 22 of LDL heads, 5 of URM; null for other models.</param>
/// <param name="Distribution">10 bins; null for models without LDL heads.</param>
/// <param name="Rewards">[22][10] of LDL heads; null for other models, and where the mode does not give them.</param>
public sealed record GoldenOutput(double Score, double[] Hidden, double[]? Weights, double[]? Distribution, double[][]? Rewards)
{
    /// <summary>A number per objective: ArmoRM's and QRM's before the transform, URM's means; null where the mode does not give them.</summary>
    public double[]? Objectives { get; init; }

    /// <summary><see cref="Objectives"/> after the transform matrix; null for models without gated heads.</summary>
    public double[]? Adjusted { get; init; }

    /// <summary>A weight per objective; null for models without gated heads.</summary>
    public double[]? Gating { get; init; }

    /// <summary>A probability per step; null for models that do not score steps.</summary>
    public double[]? Steps { get; init; }
}

/// <summary>One text of a batch.</summary>
/// <param name="Index">Its row in the batch.</param>
/// <param name="Ids">The token ids to score: unmasked, up to and including the one at which the original reads.</param>
/// <param name="Reference">What a run should give: f64, or f64_bf16norm where the checkpoint is bf16 and the mode is present.</param>
/// <param name="Modes">Every mode by its name: <c>f64</c>, <c>f64_bf16norm</c>, <c>f32</c>, <c>bf16</c>.</param>
public sealed record GoldenRow(int Index, int[] Ids, GoldenOutput Reference, IReadOnlyDictionary<string, GoldenOutput> Modes)
{
    /// <summary>Index in <see cref="Ids"/> of the token whose state goes to the gate; null for models without gated heads.</summary>
    public int? GateIndex { get; init; }

    /// <summary>Indices in <see cref="Ids"/> of the tokens that end the steps; null for models that do not score steps.</summary>
    public int[]? StepPositions { get; init; }
}

/// <summary>One batch.</summary>
/// <param name="Name">Its name within the case.</param>
/// <param name="Padding"><c>none</c>, <c>right</c> or <c>left</c>: how the reference was run.</param>
/// <param name="PrefixLength">Tokens that all rows share, where the file says so; else 0.</param>
/// <param name="Rows">The texts.</param>
public sealed record GoldenInput(string Name, string Padding, int PrefixLength, IReadOnlyList<GoldenRow> Rows);

/// <summary>One little checkpoint and the reference's outputs.</summary>
/// <param name="Name">The folder's name.</param>
/// <param name="Kind">The kind of head, as <c>ldl</c> or <c>linear</c>; the READMEs of the goldens list them.</param>
/// <param name="CheckpointType">Element type of the checkpoint: <c>f32</c>, <c>bf16</c>, <c>f16</c>.</param>
/// <param name="Folder">The checkpoint.</param>
/// <param name="Inputs">The batches.</param>
public sealed record GoldenCase(string Name, string Kind, string CheckpointType, string Folder, IReadOnlyList<GoldenInput> Inputs)
{
    /// <summary>The head that the user has to choose, because nothing in the files says it; null for the others.</summary>
    public string? Head => Kind == "logit0" ? "logit:0" : null;

    /// <summary>The folder of the adapter that changes the checkpoint; null for none.</summary>
    public string? Adapter { get; init; }

    /// <summary>The case's name, so that test lists read well.</summary>
    public override string ToString() => Name;
}

/// <summary>A tensor of trace.json.</summary>
/// <param name="Shape">Its dimensions, mostly [tokens, features].</param>
/// <param name="Values">Its elements, row-major.</param>
public sealed record TraceTensor(int[] Shape, double[] Values);

/// <summary>
/// Reads tests/data/goldens and tests/data/families; their README.md say what the files hold and how to compare with them.
/// </summary>
public static class Goldens
{
    private static readonly string[] ModeNames = ["f64", "f64_bf16norm", "f32", "bf16"];

    /// <summary>The folder of all cases.</summary>
    public static string Folder => Repository.Path("tests", "data", "goldens");

    /// <summary>Names of all cases, sorted.</summary>
    public static IReadOnlyList<string> Cases { get; } = Directory.GetDirectories(Folder)
        .Where(folder => File.Exists(Path.Combine(folder, "goldens.json")))
        .Select(folder => Path.GetFileName(folder))
        .Order(StringComparer.Ordinal).ToList();

    /// <summary>Names of the cases whose model is of that kind: <c>ldl</c>, <c>skywork</c> or <c>inform</c>.</summary>
    public static IEnumerable<string> CasesOf(string kind) => Cases.Where(name => Read(name).Kind == kind);

    /// <summary>One case of this set.</summary>
    public static GoldenCase Read(string name) => ReadFolder(Path.Combine(Folder, name));

    /// <summary>The case in a folder.</summary>
    public static GoldenCase ReadFolder(string folder)
    {
        string name = Path.GetFileName(folder);
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "goldens.json")));
        JsonElement root = document.RootElement;
        string type = root.GetProperty("checkpoint_dtype").GetString()!;
        GoldenInput[] inputs = [.. root.GetProperty("inputs").EnumerateArray().Select(input => Input(input, type))];
        string kind = root.GetProperty("model_kind").GetString()!;
        return !root.TryGetProperty("base", out JsonElement original)
            ? new GoldenCase(name, kind, type, folder, inputs)
            : new GoldenCase(name, kind, type, Path.Combine(folder, original.GetString()!), inputs)
            {
                Adapter = Path.Combine(folder, root.GetProperty("adapter").GetString()!),
            };
    }

    /// <summary>Whether a case has a trace.</summary>
    public static bool HasTrace(string name) => File.Exists(Path.Combine(Folder, name, "trace.json"));

    /// <summary>A case's trace: input name → tensor name → tensor, in the order of the file.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyDictionary<string, TraceTensor>> ReadTrace(string name) =>
        ReadTraceIn(Path.Combine(Folder, name));

    /// <summary>The trace of the case in a folder.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyDictionary<string, TraceTensor>> ReadTraceIn(string folder)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "trace.json")));
        return document.RootElement.EnumerateObject().ToDictionary(
            input => input.Name,
            IReadOnlyDictionary<string, TraceTensor> (input) => input.Value.EnumerateObject().ToDictionary(tensor => tensor.Name, tensor => Tensor(tensor.Value)));
    }

    private static GoldenInput Input(JsonElement input, string checkpointType)
    {
        int[][] ids = Integers(input.GetProperty("input_ids")), mask = Integers(input.GetProperty("attention_mask"));
        int[] pooled = [.. input.GetProperty("pooled_index").EnumerateArray().Select(element => element.GetInt32())];
        GoldenRow[] rows = new GoldenRow[ids.Length];
        for (int r = 0; r < rows.Length; r++)
        {
            Dictionary<string, GoldenOutput> modes = ModeNames
                .Where(mode => input.TryGetProperty(mode, out _))
                .ToDictionary(mode => mode, mode => Output(input.GetProperty(mode), r));
            bool rounded = checkpointType == "bf16" && modes.ContainsKey("f64_bf16norm");
            int[] real = [.. Enumerable.Range(0, pooled[r] + 1).Where(i => mask[r][i] == 1).Select(i => ids[r][i])];
            // Positions are counted among the tokens that are not masked.
            int Unmasked(int column) => Enumerable.Range(0, column).Count(i => mask[r][i] == 1);
            rows[r] = new GoldenRow(r, real, modes[rounded ? "f64_bf16norm" : "f64"], modes)
            {
                GateIndex = input.TryGetProperty("gate_index", out JsonElement gates) ? Unmasked(gates[r].GetInt32()) : null,
                StepPositions = input.TryGetProperty("step_positions", out JsonElement steps)
                    ? [.. steps[r].EnumerateArray().Select(step => Unmasked(step.GetInt32()))] : null,
            };
        }
        int prefix = input.TryGetProperty("prefix_length", out JsonElement length) ? length.GetInt32() : 0;
        return new GoldenInput(input.GetProperty("name").GetString()!, input.GetProperty("padding").GetString()!, prefix, rows);
    }

    private static GoldenOutput Output(JsonElement mode, int row) => new(
        mode.GetProperty("score")[row].GetDouble(),
        Doubles(mode.GetProperty("hidden")[row]),
        mode.TryGetProperty("weights", out JsonElement weights) ? Doubles(weights[row]) : null,
        mode.TryGetProperty("distribution", out JsonElement distribution) ? Doubles(distribution[row]) : null,
        mode.TryGetProperty("rewards", out JsonElement rewards) && rewards[row][0].ValueKind == JsonValueKind.Array
            ? [.. rewards[row].EnumerateArray().Select(Doubles)] : null)
    {
        Objectives = rewards.ValueKind == JsonValueKind.Array && rewards[row][0].ValueKind == JsonValueKind.Number ? Doubles(rewards[row]) : null,
        Adjusted = Optional(mode, "rewards_adjusted", row),
        Gating = Optional(mode, "gating", row),
        Steps = Optional(mode, "step_scores", row),
    };

    private static double[]? Optional(JsonElement mode, string name, int row) =>
        mode.TryGetProperty(name, out JsonElement values) ? Doubles(values[row]) : null;

    private static TraceTensor Tensor(JsonElement tensor)
    {
        string type = tensor.GetProperty("dtype").GetString()!;
        if (type != "f64le") throw new InvalidDataException($"trace.json holds a tensor of {type}, expected f64le.");
        int[] shape = [.. tensor.GetProperty("shape").EnumerateArray().Select(element => element.GetInt32())];
        byte[] bytes = tensor.GetProperty("base64").GetBytesFromBase64();
        double[] values = new double[bytes.Length / sizeof(double)];
        Buffer.BlockCopy(bytes, 0, values, 0, bytes.Length);
        int expected = shape.Aggregate(1, (a, b) => a * b);
        return values.Length == expected ? new TraceTensor(shape, values) : throw new InvalidDataException($"trace.json holds {values.Length} values for [{string.Join(", ", shape)}].");
    }

    private static double[] Doubles(JsonElement array) => [.. array.EnumerateArray().Select(element => element.GetDouble())];

    private static int[][] Integers(JsonElement rows) =>
        [.. rows.EnumerateArray().Select(row => row.EnumerateArray().Select(element => element.GetInt32()).ToArray())];
}
