namespace LdlVk.Server.OpenApi;

/// <summary>Marks a type whose JSON has the form of one of several types.</summary>
/// <param name="alternatives">The types.</param>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Struct)]
internal sealed class OneOfAttribute(params Type[] alternatives) : Attribute
{
    /// <summary>The types.</summary>
    public IReadOnlyList<Type> Alternatives => alternatives;
}
