namespace LdlVk.DirectML.Interop;

/// <summary>
/// One reference to a COM object, with one owner that disposes it. Methods are called through the vtable by slot; a test compares the slots
/// with Microsoft's headers.
/// </summary>
/// <param name="pointer">A reference that this object takes over.</param>
internal abstract unsafe class ComObject(void* pointer) : IDisposable
{
    private static int _living;

    private void* _pointer = Held(pointer);

    /// <summary>References that are held now, of the whole process.</summary>
    public static int Living => Volatile.Read(ref _living);

    /// <summary>The interface pointer.</summary>
    public void* Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_pointer == null, this);
            return _pointer;
        }
    }

    /// <summary>The method in a slot of the vtable.</summary>
    protected void* Method(int slot) => (*(void***)Pointer)[slot];

    public void Dispose()
    {
        if (_pointer == null) return;
        ((delegate* unmanaged[MemberFunction]<void*, uint>)(*(void***)_pointer)[2])(_pointer);
        _pointer = null;
        Interlocked.Decrement(ref _living);
    }

    private static void* Held(void* pointer)
    {
        Interlocked.Increment(ref _living);
        return pointer;
    }
}
