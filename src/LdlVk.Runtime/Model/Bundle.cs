namespace LdlVk.Runtime.Model;

/// <summary>Objects on a device that are freed together, also when making one of them fails.</summary>
internal abstract class Bundle : IDisposable
{
    private readonly List<IDisposable> _parts = [];

    public void Dispose()
    {
        foreach (IDisposable part in _parts) part.Dispose();
    }

    protected T Own<T>(Func<T> make) where T : IDisposable
    {
        try
        {
            T part = make();
            _parts.Add(part);
            return part;
        }
        catch
        {
            Dispose();
            throw;
        }
    }
}
