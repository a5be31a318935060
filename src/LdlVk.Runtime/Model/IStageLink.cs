using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>
/// Connects a <see cref="ForwardPass"/> to the other stages, and limits the work queued on its device. Each call that waits throws
/// <see cref="OperationCanceledException"/> if the results are no longer needed.
/// </summary>
internal interface IStageLink
{
    /// <summary>
    /// Waits until another micro-batch may be queued on the device and, except for the first stage, the stage before has computed it.
    /// </summary>
    void WaitForInput();

    /// <summary>Writes the hidden states of the micro-batch that <see cref="WaitForInput"/> waited for.</summary>
    void Receive(ITensor hidden);

    /// <summary>
    /// Called when every micro-batch has been queued through the stage's first layer: the device is busy, so uploads need not hurry.
    /// </summary>
    void FirstLayerIsQueued();

    /// <summary>Waits until another unread result is allowed.</summary>
    void WaitForRoom();
}
