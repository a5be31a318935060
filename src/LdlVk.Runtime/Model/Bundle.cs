namespace LdlVk.Runtime.Model;

/// <summary>Device objects that are disposed together, also if the creation of one of them fails.</summary>
internal abstract class Bundle : IDisposable
{
    private readonly List<IDisposable> _parts = [];

    public virtual void Dispose()
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
