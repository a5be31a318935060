namespace LdlVk;

/// <summary>A turn of a conversation.</summary>
/// <param name="Role">Who speaks: <c>user</c> at even places, counted from 0; <c>assistant</c> (or <c>model</c>) at odd ones.</param>
/// <param name="Content">What they say; white space at its ends does not count, and it may be empty.</param>
public readonly record struct Message(string Role, string Content);
