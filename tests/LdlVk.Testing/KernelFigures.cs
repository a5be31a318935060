using System.Globalization;
using System.Text.RegularExpressions;

namespace LdlVk.Testing;

/// <summary>
/// What a driver's compiler makes of a kernel on matrix units, in figures that are kept (tests/data/kernels/figures.tsv), so that a change
/// that makes one worse is seen without a card. <c>bench/kernels</c> prints them and records them.
/// </summary>
/// <param name="Driver">The driver and its version, two numbers: another one may compile differently.</param>
/// <param name="Card">The card.</param>
/// <param name="Kernel">The kernel and its variant.</param>
/// <param name="Values">The figures by the names of <see cref="Names"/>.</param>
public sealed partial record KernelFigures(string Driver, string Card, string Kernel, IReadOnlyList<double> Values)
{
    /// <summary>Rows of the products: of one text, and of a micro-batch.</summary>
    private static readonly int[] Rows = [64, 512];

    /// <summary>
    /// The figures. Less is better, but for <c>occupancy</c>: subgroups that a core can hold at a time. <c>cycles</c> are the compiler's own
    /// estimate. The last five are of the main loop (<see cref="MainLoop"/>), loads and instructions for each product.
    /// </summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        "registers", "spills", "shared", "occupancy", "cycles", "shared loads/product", "shared waits", "waits", "instructions/product", "block",
    ];

    private static readonly string RecordedFile = Repository.Path("tests", "data", "kernels", "figures.tsv");

    /// <summary>Compiles the kernels on the first device of this process.</summary>
    /// <param name="card">The card.</param>
    /// <param name="peer">llama.cpp's library, whose kernels are compiled in place of ours.</param>
    public static IReadOnlyList<KernelFigures> OfDriver(string card, string? peer = null)
    {
        using KernelCompiler compiler = new(representations: true);
        string driver = DriverOf().Match(compiler.Name).Value;
        IEnumerable<CompiledKernel> kernels = peer is null ? Rows.SelectMany(r => compiler.Compile(r, 1, matrixUnitsOnly: true)) : compiler.CompilePeer(peer);
        return [.. kernels.DistinctBy(NameOf).Select(k => new KernelFigures(driver, card, NameOf(k), [.. FiguresOf(k)]))];

        static string NameOf(CompiledKernel kernel) => $"{kernel.Kernel}: {kernel.Variant}";
    }

    /// <summary>The recorded figures.</summary>
    public static IReadOnlyList<KernelFigures> Recorded() => [.. File.ReadLines(RecordedFile).Skip(1).Select(Parse)];

    /// <summary>Replaces the recorded figures of the cards and drivers that these are of.</summary>
    public static void Record(IReadOnlyList<KernelFigures> figures)
    {
        var measured = figures.Select(f => (f.Driver, f.Card)).ToHashSet();
        IEnumerable<KernelFigures> kept = File.Exists(RecordedFile) ? Recorded().Where(f => !measured.Contains((f.Driver, f.Card))) : [];
        Directory.CreateDirectory(Path.GetDirectoryName(RecordedFile)!);
        File.WriteAllLines(RecordedFile, [Header, .. kept.Concat(figures).Select(f => f.ToString()).Order(StringComparer.Ordinal)]);
    }

    /// <summary>The first line of a table.</summary>
    public static string Header => $"driver\tcard\tkernel\t{string.Join('\t', Names)}";

    /// <summary>The figures that are worse than the recorded ones, each in words.</summary>
    public IEnumerable<string> WorseThan(KernelFigures recorded) =>
        from i in Enumerable.Range(0, Names.Count)
        where Names[i] == "occupancy" ? Values[i] < recorded.Values[i] : Values[i] > recorded.Values[i]
        select $"{Card}, {Driver}, {Kernel}: {Names[i]} {Text(Values[i])}, recorded {Text(recorded.Values[i])}";

    /// <summary>A line of a table.</summary>
    public static KernelFigures Parse(string line)
    {
        string[] parts = line.Split('\t');
        return new KernelFigures(parts[0], parts[1], parts[2], [.. parts[3..].Select(p => double.Parse(p, CultureInfo.InvariantCulture))]);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Driver}\t{Card}\t{Kernel}\t{string.Join('\t', Values.Select(Text))}";

    private static string Text(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);

    private static IEnumerable<double> FiguresOf(CompiledKernel kernel)
    {
        MainLoop loop = MainLoop.Of(kernel.Code) ?? throw new InvalidOperationException($"{kernel.Kernel}, {kernel.Variant}: no loop with products was found in what the driver compiled.");
        // As its name is in RADV, in NVK, and in ANV, whose threads have 128 registers, or 256.
        double Of(params string[] names) => names.Sum(n => kernel.Statistics.GetValueOrDefault(n));
        double products = loop.Products;
        return
        [
            Of("VGPRs", "Number of GPRs", "Max live registers"), Of("Spilled SGPRs", "Spilled VGPRs", "Spills to memory", "Fills from memory", "Spills to reg", "Fills from reg", "Spills", "Fills"),
            // ANV shows no source of a kernel that it has cached.
            kernel.Statistics.TryGetValue("Workgroup Memory Size", out double shared) ? shared
                : Shared().Matches(kernel.Code) is [.., var last] ? double.Parse(last.Groups[1].Value, CultureInfo.InvariantCulture) : 0,
            Of("Subgroups per SIMD", "Max warps/SM"), Of("Inverse Throughput", "Static cycle count", "Cycles"),
            Rounded(loop.SharedLoads / products), loop.SharedWaits, loop.Waits, Rounded(loop.Instructions / products), loop.LargestBlock,
        ];

        static double Rounded(double value) => Math.Round(value, 2);
    }

    [GeneratedRegex(@"\S+ Mesa \d+\.\d+")]
    private static partial Regex DriverOf();

    [GeneratedRegex(@"^shared_size: (\d+)", RegexOptions.Multiline)]
    private static partial Regex Shared();
}
