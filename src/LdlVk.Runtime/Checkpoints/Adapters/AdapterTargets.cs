using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Checkpoints.Adapters;

/// <summary>
/// The modules that an adapter changes, by <c>target_modules</c>, <c>exclude_modules</c>, <c>layers_to_transform</c> and
/// <c>layers_pattern</c> (check_target_module_exists of PEFT).
/// </summary>
internal sealed class AdapterTargets
{
    private const string AllLinear = "all-linear";

    private readonly PatternTime _time;
    private IReadOnlyList<string> _names = [], _excludedNames = [], _layersPatterns = [];
    private Regex? _pattern, _excluded;
    private HashSet<int>? _layers;
    private bool _isAll;

    /// <summary>Whether all linear layers are changed, which the embedding table is not.</summary>
    public bool IsAllLinear => _isAll;

    private AdapterTargets(PatternTime time) => _time = time;

    /// <summary>Reads the fields.</summary>
    /// <exception cref="CheckpointException">A field is malformed.</exception>
    public static AdapterTargets Read(JsonField root, PatternTime time)
    {
        AdapterTargets targets = new(time);
        JsonField field = root.Get("target_modules");
        if (field.Value.ValueKind != JsonValueKind.String) targets._names = AdapterConfig.Strings(root, "target_modules")!;
        else if (field.String() == AllLinear) targets._isAll = true;
        else targets._pattern = AdapterPattern.Whole(field, field.String());
        if (root.TryGet("exclude_modules", out JsonField excluded))
        {
            if (excluded.Value.ValueKind == JsonValueKind.String) targets._excluded = AdapterPattern.Whole(excluded, excluded.String());
            else targets._excludedNames = AdapterConfig.Strings(root, "exclude_modules")!;
        }

        if (root.TryGet("layers_to_transform", out JsonField layers))
            targets._layers = layers.Value.ValueKind == JsonValueKind.Number ? [layers.Integer(0, 1 << 20)]
                : layers.Items().Any() ? [.. layers.Items().Select((item, i) => layers.Item(i, item).Integer(0, 1 << 20))] : null;
        // A name of a list of layers, not a regular expression in any adapter that exists.
        targets._layersPatterns = AdapterConfig.Strings(root, "layers_pattern") ?? [];
        return targets;
    }

    /// <summary>Whether the adapter changes the module of this name, such as <c>model.layers.0.self_attn.q_proj</c>.</summary>
    /// <exception cref="CheckpointException">A pattern takes too long.</exception>
    public bool Contains(string module)
    {
        if (_excluded is not null && _time.Matches(_excluded, module)) return false;
        if (_excludedNames.Any(name => Ends(module, name))) return false;
        if (_isAll) return !Ends(module, "lm_head") && !Ends(module, "score");
        if (_pattern is not null) return _time.Matches(_pattern, module);
        if (_names.Contains(module)) return true;
        return _names.Any(name => Ends(module, name)) && (_layers is null || _layers.Contains(LayerOf(module)));
    }

    private static bool Ends(string module, string name) =>
        module == name || module.EndsWith("." + name, StringComparison.Ordinal);

    private int LayerOf(string module)
    {
        string[] parts = module.Split('.');
        for (int i = parts.Length - 2; i > 0; i--)
        {
            if (!int.TryParse(parts[i], NumberStyles.None, CultureInfo.InvariantCulture, out int layer)) continue;
            if (_layersPatterns.Count == 0 || _layersPatterns.Contains(parts[i - 1])) return layer;
        }

        return -1;
    }
}
