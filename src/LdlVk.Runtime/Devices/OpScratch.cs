namespace LdlVk.Runtime.Devices;

/// <summary>Device memory that ops take beside their operands, where they run on blocks of rows with weights unpacked to fp32.</summary>
/// <param name="BlockRows">Rows of a block.</param>
/// <param name="PanelBytes">Bytes of unpacked weights at a time.</param>
/// <param name="Int8PanelRows">Rows of a weight at a time in products of 8-bit integers.</param>
/// <param name="Int8Groups">Groups whose products of 8-bit integers are in memory at a time.</param>
public readonly record struct OpScratch(int BlockRows, long PanelBytes, int Int8PanelRows, int Int8Groups);
