using System.Globalization;
using LdlVk.Testing;

namespace LdlVk.Bench;

/// <summary>What a driver's compiler makes of the kernels: a line each with the driver's own figures, and those that spill at the end.</summary>
internal static class KernelTable
{
    /// <summary><c>kernels [--device N] [--rows N] [--tilings N] [--all]</c>; without <c>--all</c> figures that are 0 everywhere are left out.</summary>
    public static void Print(string[] flags)
    {
        int Value(string name, int otherwise) => Array.IndexOf(flags, name) is var i && i >= 0 && i + 1 < flags.Length ? int.Parse(flags[i + 1], CultureInfo.InvariantCulture) : otherwise;
        using KernelCompiler compiler = new(Value("--device", 0));
        Console.WriteLine(compiler.Name);
        CompiledKernel[] kernels = [.. compiler.Compile(Value("--rows", 512), Value("--tilings", 1))];
        string[] columns = [.. kernels.SelectMany(k => k.Statistics).Where(s => flags.Contains("--all") || s.Value != 0).Select(s => s.Key).Distinct()];
        Console.WriteLine($"kernel\tvariant\t{string.Join('\t', columns)}");
        foreach (CompiledKernel kernel in kernels)
            Console.WriteLine($"{kernel.Kernel}\t{kernel.Variant}\t{string.Join('\t', columns.Select(c => kernel.Statistics.TryGetValue(c, out double v) ? v.ToString(CultureInfo.InvariantCulture) : ""))}");
        CompiledKernel[] spilling = [.. kernels.Where(k => k.Spills.Count > 0)];
        Console.WriteLine($"{kernels.Length} kernels, {spilling.Length} of them spill{(spilling.Length == 0 ? "." : ":")}");
        foreach (CompiledKernel kernel in spilling)
            Console.WriteLine($"  {kernel.Kernel} {kernel.Variant}: {string.Join(", ", kernel.Spills.Select(s => $"{s.Key} {s.Value.ToString(CultureInfo.InvariantCulture)}"))}");
    }
}
