using LdlVk.Runtime.Formatting;

namespace LdlVk.Benchmarking;

/// <summary>What the maker says of a card, as far as LdlVk's kernels can use it through Vulkan.</summary>
/// <param name="Name">The card, as drivers name it.</param>
/// <param name="Fp32">10¹² fp32 operations a second of ordinary arithmetic.</param>
/// <param name="Halves">The same of fp16 matrix units with fp32 sums; 0 where kernels use none.</param>
/// <param name="Bytes">The same of int8: on matrix units where <paramref name="Halves"/> has some, else of dot products; 0 for neither.
/// </param>
/// <param name="Bandwidth">GB a second of its memory.</param>
/// <param name="Memory">GiB of its memory that programs may have.</param>
/// <param name="Bus">GB a second from the host's memory to its own, one way; its own bandwidth where they are the same.</param>
/// <param name="Cores">Streaming multiprocessors, compute units or Xe-cores.</param>
/// <param name="Clock">GHz at which the rates hold.</param>
/// <param name="Source">The maker's page. A comment says which figures are not there.</param>
/// <param name="Note">What to know about it; empty for nothing.</param>
public sealed record Card(
    string Name, double Fp32, double Halves, double Bytes, double Bandwidth, double Memory, double Bus, int Cores, double Clock,
    string Source, string Note = "")
{
    private const double Pcie3 = 15.75, Pcie4 = 31.5, Pcie4Half = 15.75, Pcie5 = 63;

    private const string NvidiaPapers = "https://images.nvidia.com/aem-dam/", AmdPages = "https://www.amd.com/en/products/",
        IntelPages = "https://www.intel.com/content/www/us/en/products/sku/";

    /// <summary>
    /// 10¹² operations a second of fp16 matrix units with fp16 sums; those of fp32 sums where the maker names no others. GeForce cards of
    /// each generation compute these at twice the rate.
    /// </summary>
    public double HalfSums { get; init; } = Halves;

    /// <summary>Words after a name that make it another card.</summary>
    private static readonly string[] OtherCards = ["XT", "XTX", "Ti", "SUPER", "Laptop", "Mobile", "GRE", "D", "M", "Max", "Pro"];

    /// <summary>
    /// All cards, by maker and age. A comment names the maker's document of a card's figures, as others quote it, and says which are
    /// computed and which were found in no document. Buses are PCI Express by generation and lanes: 128b/130b of 8, 16 or 32 GT/s.
    /// </summary>
    public static IReadOnlyList<Card> All { get; } =
    [
        // Rates are computed, since the paper was written before the card: a core multiplies 1024 halves or 2048 bytes a clock (NVIDIA
        // Turing Architecture, Tensor Cores), and halves at half that rate with fp32 sums (table 1: 107.6 and 53.8 TFLOP/s of the RTX
        // 2080 Ti). Cores, clock and memory: NVIDIA's page of the card, GeForce RTX 2060.
        new("RTX 2060", 6.45, 25.8, 103.2, 336, 6, Pcie3, 30, 1.68,
            $"{NvidiaPapers}en-zz/Solutions/design-visualization/technologies/turing-architecture/"
                + "NVIDIA-Turing-Architecture-Whitepaper.pdf",
            "attention is portable: NVIDIA's compiler makes it wrong on Turing's matrix units") { HalfSums = 51.6 },
        // NVIDIA Ampere GA102 GPU Architecture V2.0, appendix A, table 9, without sparsity.
        new("RTX 3090", 35.6, 71, 284, 936, 24, Pcie4, 82, 1.695,
            "https://www.nvidia.com/content/PDF/nvidia-ampere-ga-102-gpu-architecture-whitepaper-v2.pdf") { HalfSums = 142 },
        // NVIDIA Ada GPU Architecture V2.1, appendix A, table 2, without sparsity.
        new("RTX 4090", 82.6, 165.2, 660.6, 1008, 24, Pcie4, 128, 2.52,
            $"{NvidiaPapers}Solutions/geforce/ada/nvidia-ada-gpu-architecture.pdf") { HalfSums = 330.3 },
        // NVIDIA RTX Blackwell GPU Architecture, table 3, without sparsity.
        new("RTX 5090", 104.8, 209.5, 838, 1792, 32, Pcie5, 170, 2.407,
            $"{NvidiaPapers}Solutions/geforce/blackwell/nvidia-rtx-blackwell-gpu-architecture.pdf") { HalfSums = 419 },
        // NVIDIA A100 Tensor Core GPU Architecture, table 4, without sparsity; the memory is that of the SXM module with 80 GB (A100
        // datasheet).
        new("A100", 19.5, 312, 624, 2039, 80, Pcie4, 108, 1.41, "https://www.nvidia.com/en-us/data-center/a100/"),
        // NVIDIA H100 Tensor Core GPU Architecture, the SXM5 module, without sparsity; the clock is that of matrix units, 1.98 for
        // fp32. The memory: H100 datasheet.
        new("H100", 66.9, 989.4, 1978.9, 3350, 80, Pcie5, 132, 1.83, "https://www.nvidia.com/en-us/data-center/h100/",
            "through Vulkan, products of subgroups have reached 612 TFLOP/s and 1,243 TOP/s"),
        // AMD Instinct MI210, brochure. Int8 is computed, four products for each of fp32: no document was found for its dot products.
        new("MI210", 22.6, 0, 90.5, 1638, 64, Pcie4, 104, 1.7, $"{AmdPages}accelerators/instinct/mi200/mi210.html",
            "no Vulkan driver offers its matrix cores"),
        // AMD's page of the card. Int8 is computed: 512 operations a clock and core (GPUOpen, Using the Matrix Cores of AMD RDNA 4, of
        // RDNA 2).
        new("RX 6800", 16.2, 0, 64.7, 512, 16, Pcie4, 60, 2.105,
            $"{AmdPages}graphics/desktops/radeon/6000-series/amd-radeon-rx-6800.html"),
        // AMD's page of the card. Int8 is as fast as fp16: 512 operations a clock and core (the same article, of RDNA 3).
        new("RX 7900 XTX", 61.4, 122.8, 122.8, 960, 24, Pcie4, 96, 2.5,
            $"{AmdPages}graphics/desktops/radeon/7000-series/amd-radeon-rx-7900xtx.html"),
        // AMD's page of the card, without sparsity; 1024 and 2048 operations a clock and core (the same article, of RDNA 4).
        new("RX 9070 XT", 48.7, 195, 389, 640, 16, Pcie5, 64, 2.97,
            $"{AmdPages}graphics/desktops/radeon/9000-series/amd-radeon-rx-9070xt.html"),
        // Cores, clock and bandwidth: Intel's specifications, whose graphics clock is 2.1 GHz; drivers have reported 2.4. Fp32 is
        // computed, 256 operations a clock and core, and so is int8, four products for each of fp32. Matrix units: half of Intel's 262
        // TOP/s of int8.
        new("Arc A770", 17.2, 0, 68.8, 560, 16, Pcie4, 32, 2.1, $"{IntelPages}229151/intel-arc-a770-graphics-16gb/specifications.html",
            "its matrix units (131 TFLOP/s) are not used: docs/devices.md says why"),
        // Int8, cores, graphics clock, bandwidth and lanes: Intel's specifications. Fp16 is computed, half of int8, which holds at 2.85
        // GHz; so is fp32, 256 operations a clock and core.
        new("Arc B580", 13.7, 116.5, 233, 456, 12, Pcie4Half, 20, 2.67,
            $"{IntelPages}241598/intel-arc-b580-graphics/specifications.html"),
        // Of a Core i7-1185G7. No document was found for the clock, nor for the bandwidth, which is computed: 128 bits of LPDDR4X-4267.
        // Rates are computed too: 8 fp32 lanes an execution unit, 16 of them a core, four int8 products for each of fp32. The memory is
        // assumed.
        new("Iris Xe", 2.07, 0, 8.3, 68.3, 8, 68.3, 6, 1.35, $"{IntelPages}208664/intel-core-i71185g7-processor/specifications.html",
            "96 execution units on the host's memory"),
        // Cores and bandwidth: Apple's announcement; fp32: Apple's presentation of it. No document was found for the clock, which
        // follows from 256 operations a clock and core. The memory is assumed: three quarters of 32 GiB.
        new("Apple M1 Max", 10.4, 0, 0, 400, 24, 400, 32, 1.27, "https://www.apple.com/newsroom/2021/10/introducing-m1-pro-and-m1-max/",
            "through MoltenVK, which offers neither matrix units nor dot products; the host's memory"),
    ];

    /// <summary>Whether it has no memory of its own.</summary>
    public bool SharesHostMemory => Bus == Bandwidth;

    /// <summary>The card of a name, or of a part of one.</summary>
    /// <exception cref="UsageException">There is none, or several. The message begins with the name.</exception>
    public static Card Parse(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        Card[] found = [.. All.Where(card => card.Name.Equals(name, StringComparison.OrdinalIgnoreCase))];
        if (found.Length == 0 && name.Length > 2)
            found = [.. All.Where(card => card.Name.Contains(name, StringComparison.OrdinalIgnoreCase))];
        return found is [var one] ? one : throw new UsageException(
            $"{Readable.OneLine(name)}: {(found.Length == 0 ? "no such card is known" : "several cards have that in their names")}. "
            + $"There are {string.Join(", ", All.Select(card => card.Name))}.");
    }

    /// <summary>The card that a driver names; null where it is none of these.</summary>
    public static Card? Find(DeviceInfo device)
    {
        ArgumentNullException.ThrowIfNull(device);
        string[] words = device.Name.Replace("(R)", "", StringComparison.Ordinal).Replace("(TM)", "", StringComparison.OrdinalIgnoreCase)
            .Split([' ', '(', ')', ',', '/', '-'], StringSplitOptions.RemoveEmptyEntries);
        return All.FirstOrDefault(card => IsIn(words, card.Name.Split(' ')));

        static bool IsIn(string[] words, string[] name)
        {
            for (int at = 0; at + name.Length <= words.Length; at++)
            {
                bool same = words.AsSpan(at, name.Length).SequenceEqual(name, StringComparer.OrdinalIgnoreCase);
                if (same && !OtherCards.Contains(words.ElementAtOrDefault(at + name.Length), StringComparer.OrdinalIgnoreCase)) return true;
            }

            return false;
        }
    }
}
