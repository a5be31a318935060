using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>What a head is read from.</summary>
/// <param name="Folder">The checkpoint's files.</param>
/// <param name="Config">The backbone.</param>
/// <param name="Choice">The head that the user chose; null to determine it by the tensors.</param>
internal sealed record HeadSource(CheckpointFolder Folder, BackboneConfig Config, string? Choice);
