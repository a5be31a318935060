using LdlVk.Runtime.Json;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>What config.json says about the LDL heads.</summary>
/// <param name="Objectives">Outputs of the regression head (<c>num_objectives</c>).</param>
/// <param name="GateTemperature">Divides the gates before their softmax; 0 where they are used raw (<c>softmax</c> false).</param>
internal readonly record struct LdlSettings(int Objectives, float GateTemperature);

/// <summary>config.json of a checkpoint.</summary>
/// <param name="Backbone">The numbers of the backbone.</param>
/// <param name="Heads">What it says about LDL heads, if the model has such.</param>
/// <param name="IsConverted">Whether <c>ldlvk convert</c> wrote the file.</param>
internal sealed record ConfigFile(BackboneConfig Backbone, LdlSettings Heads, bool IsConverted)
{
    /// <summary>Reads the file.</summary>
    /// <exception cref="CheckpointException">A field is missing, malformed, out of bounds or asks for something that is not supported.</exception>
    public static ConfigFile Read(string path) => JsonFile.Read(path, root =>
    {
        JsonField modelType = root.Get("model_type");
        string type = modelType.String();
        Architecture architecture = Architecture.All.FirstOrDefault(a => a.ModelType == type)
            ?? throw modelType.Error($"{modelType.Kind} is not supported. Supported architectures: {string.Join(", ", Architecture.All.Select(a => $"\"{a.ModelType}\""))}.");
        bool isConverted = root.TryGet(ConvertedFormat.ConfigField, out JsonField quantised);
        if (isConverted && quantised.Get(ConvertedFormat.MethodField) is var method && method.String() != ConvertedFormat.Method)
            throw method.Error($"is {method.Kind}; supported are weights that are not quantised, and those that ldlvk convert wrote (\"{ConvertedFormat.Method}\").");
        ConfigFields fields = new(root);
        return new ConfigFile(architecture.Read(fields), fields.LdlHeads(), isConverted);
    });
}
