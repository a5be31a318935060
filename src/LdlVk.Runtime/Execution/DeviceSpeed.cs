namespace LdlVk.Runtime.Execution;

/// <summary>The measured speed of a device.</summary>
/// <param name="OperationsPerSecond">Rate of the layers' products; a multiplication with its addition counts as two operations.</param>
/// <param name="UploadBytesPerSecond">Rate of uploads of weights from host memory.</param>
public readonly record struct DeviceSpeed(double OperationsPerSecond, double UploadBytesPerSecond);
