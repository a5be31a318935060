namespace LdlVk.Runtime.Caching;

/// <summary>A wave takes rows from the prompt cache that a stage does not have. It is to be computed without the cache.</summary>
public sealed class CacheMissException : Exception;
