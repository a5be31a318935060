namespace LdlVk.Runtime.Execution;

/// <summary>How fast a device is, as measured.</summary>
/// <param name="OperationsPerSecond">Rate of the layers' products; a multiplication with its addition counts as two operations.</param>
/// <param name="UploadBytesPerSecond">Rate at which weights are brought to it from host memory.</param>
public readonly record struct DeviceSpeed(double OperationsPerSecond, double UploadBytesPerSecond);
