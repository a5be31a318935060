namespace LdlVk.Server.Http.Connections;

/// <summary>What a connection does.</summary>
internal enum ConnectionState
{
    /// <summary>It has no request, or has not sent the whole head of one.</summary>
    Idle,

    /// <summary>It sends the body of a scoring request.</summary>
    Reading,

    /// <summary>Its scoring request waits for scores, or its answer is being sent.</summary>
    Waiting,

    /// <summary>Another request of it is being answered.</summary>
    Answering,
}
