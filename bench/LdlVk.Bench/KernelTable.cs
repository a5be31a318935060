using System.Diagnostics;
using System.Globalization;
using LdlVk.Testing;

namespace LdlVk.Bench;

/// <summary>What a driver's compiler makes of the kernels: a line each with the driver's own figures, and those that spill at the end.</summary>
internal static class KernelTable
{
    /// <summary>
    /// <c>kernels --cards [--record] [--llama-cpp LIBRARY]</c>: the figures of the kernels on matrix units, for each card whose driver is here,
    /// beside those that are recorded, and llama.cpp's; <c>--record</c> keeps ours. A process for each card, as the Vulkan loader reads its environment once.
    /// </summary>
    private static void Judge(string[] flags)
    {
        DriverCard[] cards = [.. DriverCard.Judges.Where(c => c.IsThere)];
        KernelFigures[] all = [.. cards.SelectMany(c => Figures(c))];

        if (flags.Contains("--record")) KernelFigures.Record(all);
        Dictionary<(string, string, string), KernelFigures> recorded = KernelFigures.Recorded().ToDictionary(f => (f.Driver, f.Card, f.Kernel));
        Console.WriteLine(KernelFigures.Header);
        foreach (KernelFigures figures in all)
        {
            Console.WriteLine(figures);
            if (!recorded.TryGetValue((figures.Driver, figures.Card, figures.Kernel), out KernelFigures? before)) Console.WriteLine("  is not recorded");
            else if (!before.Values.SequenceEqual(figures.Values)) Console.WriteLine($"  recorded:\t\t\t{before.ToString().Split('\t', 4)[3]}");
        }

        string[] worse = [.. all.SelectMany(f => recorded.TryGetValue((f.Driver, f.Card, f.Kernel), out KernelFigures? before) ? f.WorseThan(before) : [])];
        Console.WriteLine($"{all.Length} kernels, {worse.Length} figures are worse than recorded.");
        foreach (string line in worse) Console.WriteLine("  " + line);
        if (Array.IndexOf(flags, "--llama-cpp") is var at && at >= 0 && at + 1 < flags.Length)
            foreach (KernelFigures figures in cards.SelectMany(c => Figures(c, flags[at + 1]))) Console.WriteLine(figures);
    }

    /// <summary>The figures of our kernels, or of llama.cpp's out of its library.</summary>
    private static IEnumerable<KernelFigures> Figures(DriverCard card, params string[] library)
    {
        var start = new ProcessStartInfo("dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, "LdlVk.Bench.dll"), "kernels", "--figures", card.Name, .. library])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in card.Environment) start.Environment[name] = value;
        using Process child = Process.Start(start)!;
        Task<string> errors = child.StandardError.ReadToEndAsync();
        string output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        if (DriverCard.IsUnknownIn(errors.Result)) return [];
        if (child.ExitCode != 0) throw new InvalidOperationException($"{card}: exit code {child.ExitCode}\n{output}{errors.Result}");
        return output.Split('\n').Where(l => l.Contains('\t')).Select(KernelFigures.Parse);
    }

    /// <summary><c>kernels [--device N] [--rows N] [--tilings N] [--all]</c>; without <c>--all</c> figures that are 0 everywhere are left out.</summary>
    public static void Print(string[] flags)
    {
        if (flags is ["--figures", var card, .. var library])
        {
            foreach (KernelFigures figures in KernelFigures.OfDriver(card, library.FirstOrDefault())) Console.WriteLine(figures);
            return;
        }

        if (flags.Contains("--cards"))
        {
            Judge(flags);
            return;
        }

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
