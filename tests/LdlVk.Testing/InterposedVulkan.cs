using System.Runtime.InteropServices;
using Silk.NET.Core.Contexts;
using Silk.NET.Vulkan;

namespace LdlVk.Testing;

/// <summary>A Vulkan loader between the backend and the real one, which answers some calls. Those take at most six words.</summary>
/// <param name="watched">The names of these calls.</param>
public abstract class InterposedVulkan(IReadOnlyCollection<string> watched)
{
    // Function pointers live as long as their delegates.
    private readonly List<Call> _stubs = [];

    /// <summary>A Vulkan function with its words.</summary>
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    protected delegate nint Call(nint a, nint b, nint c, nint d, nint e, nint f);

    /// <summary>The loader.</summary>
    public Vk Load() => new(new Context(this, Vk.GetApi().Context));

    /// <summary>Answers a call.</summary>
    /// <param name="name">The function.</param>
    /// <param name="real">The real one; null where the driver has none.</param>
    /// <param name="a">Its first word.</param>
    /// <param name="b">Its second word.</param>
    /// <param name="c">Its third word.</param>
    /// <param name="d">Its fourth word.</param>
    /// <param name="e">Its fifth word.</param>
    /// <param name="f">Its sixth word.</param>
    protected abstract nint Answer(string name, Call real, nint a, nint b, nint c, nint d, nint e, nint f);

    /// <summary>A function that calls <see cref="Answer"/> instead of the one at an address, which may be 0.</summary>
    protected nint Wrap(string name, nint address)
    {
        Call? real = address == 0 ? null : Marshal.GetDelegateForFunctionPointer<Call>(address);
        Call stub = (a, b, c, d, e, f) => Answer(name, real!, a, b, c, d, e, f);
        _stubs.Add(stub);
        return Marshal.GetFunctionPointerForDelegate(stub);
    }

    private sealed class Context(InterposedVulkan owner, INativeContext real) : INativeContext
    {
        public nint GetProcAddress(string proc, int? slot = null) => TryGetProcAddress(proc, out nint address, slot) ? address : 0;

        public bool TryGetProcAddress(string proc, out nint addr, int? slot = null)
        {
            if (!real.TryGetProcAddress(proc, out addr, slot)) return false;
            if (owner.IsWatched(proc)) addr = owner.Wrap(proc, addr);
            return true;
        }

        public void Dispose() => real.Dispose();
    }

    private bool IsWatched(string name) => watched.Contains(name);
}
