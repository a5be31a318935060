namespace LdlVk;

/// <summary>Base of the errors LdlVk raises for its user. The message says what, where, why and what to do.</summary>
public abstract class LdlVkException : Exception
{
    private protected LdlVkException(Notice message, Exception? inner)
        : base(message.ToString(), inner) => Notice = message;

    /// <summary>The message, in which the options that mend it are values.</summary>
    public Notice Notice { get; }
}

/// <summary>A checkpoint (weights, config, tokenizer, template) is damaged, hostile or not supported. Command line: exit code 2.</summary>
public sealed class CheckpointException(Notice message, Exception? inner = null) : LdlVkException(message, inner);

/// <summary>One conversation, text or line cannot be scored as given; others can. Command line: exit code 3 at the end.</summary>
public sealed class InputException(Notice message, Exception? inner = null) : LdlVkException(message, inner);

/// <summary>The call itself is wrong: an option, a device name, a path. Command line: exit code 2.</summary>
public sealed class UsageException(Notice message, Exception? inner = null) : LdlVkException(message, inner);

/// <summary>Another run writes the same output, or has taken it over; trying later helps. Command line: exit code 4.</summary>
public sealed class BusyException(Notice message, Exception? inner = null) : LdlVkException(message, inner);

/// <summary>The machine failed: a device is lost, out of memory, or its driver refused. Command line: exit code 1.</summary>
public sealed class DeviceException(Notice message, Exception? inner = null, DeviceFailure failure = DeviceFailure.Other)
    : LdlVkException(message, inner)
{
    /// <summary>What may help.</summary>
    public DeviceFailure Failure => failure;
}

/// <summary>Kinds of <see cref="DeviceException"/>, by what may help.</summary>
public enum DeviceFailure
{
    /// <summary>Trying again changes nothing.</summary>
    Other,
    /// <summary>The open device is of no use any more; opened afresh, it may work.</summary>
    Lost,
    /// <summary>There is not enough memory; smaller work may do. What is on the device stays good.</summary>
    OutOfMemory,
}
