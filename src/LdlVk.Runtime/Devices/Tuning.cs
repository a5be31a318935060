namespace LdlVk.Runtime.Devices;

/// <summary>
/// A matrix product of a model as a device computes it: <see cref="IDevice.Linear"/> with a weight [OutputFeatures, InputFeatures], or
/// <see cref="IDevice.GatedLinear"/> with two of them.
/// </summary>
/// <param name="Format">Format of the weight.</param>
/// <param name="Gated">Whether it is a GatedLinear.</param>
/// <param name="OutputFeatures">Rows of the weight.</param>
/// <param name="InputFeatures">Columns of the weight.</param>
/// <param name="Rows">Rows of the input.</param>
/// <param name="Sums">What it is summed in.</param>
public readonly record struct LinearProduct(
    WeightFormat Format, bool Gated, int OutputFeatures, int InputFeatures, int Rows, SumFormat Sums = SumFormat.Fp32)
{
    /// <summary>Arithmetic of it: 2·M·N·K, of a gated one twice that.</summary>
    public double Operations => (Gated ? 4.0 : 2.0) * Rows * OutputFeatures * InputFeatures;
}

/// <summary>How a device will compute a product.</summary>
/// <param name="Product">The product as it was measured: rows stand for all numbers of rows that get the same tiles.</param>
/// <param name="Tiles">Name of the tiles chosen.</param>
/// <param name="Seconds">Time with them; 0 where nothing was measured.</param>
/// <param name="Guess">Name of the tiles that the device takes without measuring.</param>
/// <param name="GuessSeconds">Time with those.</param>
/// <param name="Tried">How many tilings were measured.</param>
public sealed record TunedProduct(LinearProduct Product, string Tiles, double Seconds, string Guess, double GuessSeconds, int Tried);

/// <summary>
/// A device that can cut products into tiles in several ways, all with the same bits. It can measure which is the fastest and keep the
/// choice for later runs.
/// </summary>
public interface ITunableDevice
{
    /// <summary>The file that choices are kept in, for this device and this version of its driver; null where there is none.</summary>
    string? ChoicesFile { get; }

    /// <summary>Those products for which no choice is kept.</summary>
    IReadOnlyList<LinearProduct> Untuned(IEnumerable<LinearProduct> products);

    /// <summary>The names of all tilings that the device can compute a product with, the guess first.</summary>
    IReadOnlyList<string> Tilings(in LinearProduct product);

    /// <summary>Computes with a tiling wherever it is possible, until the result is disposed; for measurements and tests.</summary>
    IDisposable Use(string tiling);

    /// <summary>
    /// Times products with made-up weights, and uses and keeps what was fastest. While one is measured, the guess is kept for it: should a
    /// driver fall over a kernel, the next start does not try it again. The device must not be in use.
    /// </summary>
    /// <param name="products">The products to time; those that share their tiles are timed once.</param>
    /// <param name="limit">
    /// About how long it may take. The largest products come first; those that are not reached keep the guess for now, and are
    /// <see cref="Untuned"/> still. With a limit nothing is measured where choices cannot be kept, as that would take the time at every
    /// start. Null takes the time it takes.
    /// </param>
    /// <param name="progress">Told of each product.</param>
    /// <param name="cancellationToken">Ends the measuring; choices made so far are kept.</param>
    /// <returns>Whether the choices were kept.</returns>
    /// <exception cref="DeviceException">The device failed.</exception>
    bool Tune(IReadOnlyList<LinearProduct> products, TimeSpan? limit = null, IProgress<TunedProduct>? progress = null,
        CancellationToken cancellationToken = default);
}
