using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>
/// What a <see cref="ForwardPass"/> needs to know of the other stages and of the work that its device has been given. Each call that waits
/// throws <see cref="OperationCanceledException"/> if nobody waits for the results any more.
/// </summary>
internal interface IStageLink
{
    /// <summary>
    /// Waits until the device may be given another micro-batch and, unless the stage is the first, the stage before has computed it.
    /// </summary>
    void WaitForInput();

    /// <summary>Writes the hidden states of the micro-batch that <see cref="WaitForInput"/> waited for.</summary>
    void Receive(ITensor hidden);

    /// <summary>
    /// Called when every micro-batch has been through the stage's first layer: the device has work, and uploads may take their time.
    /// </summary>
    void FirstLayerIsQueued();

    /// <summary>Waits until there may be another result that has not been read.</summary>
    void WaitForRoom();
}
