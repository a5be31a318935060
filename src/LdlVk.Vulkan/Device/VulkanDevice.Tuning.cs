using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Kernels;

namespace LdlVk.Vulkan.Device;

/// <summary>Which tiles are fastest is measured by a <see cref="Tuner"/> and kept in <see cref="TileChoices"/>.</summary>
internal sealed unsafe partial class VulkanDevice : ITunableDevice
{
    public string? ChoicesFile => _linear.Choices.FilePath;

    public IReadOnlyList<LinearProduct> Untuned(IEnumerable<LinearProduct> products) =>
        [.. products.Where(p => _linear.Choices[_linear.KeyOf(p)] is null)];

    public bool Tune(IReadOnlyList<LinearProduct> products, TimeSpan? limit = null, IProgress<TunedProduct>? progress = null, CancellationToken cancellation = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        TilingKey[] keys = [.. products.Select(p => _linear.KeyOf(p)).Distinct()];
        foreach (TilingKey key in keys)
            if (_linear.Choices[key] is null) _linear.Choose(key, _linear.Candidates(key)[0].Name);
        if (!_linear.Choices.Save() && limit is not null) return false;
        try
        {
            new Tuner(this, limit).Run(keys, progress, cancellation);
        }
        finally
        {
            _linear.Forced = null;
        }

        return _linear.Choices.Save();
    }

    /// <summary>Waits until everything is done.</summary>
    internal void Finish()
    {
        _stream.Finish();
        _copies?.Finish();
    }
}
