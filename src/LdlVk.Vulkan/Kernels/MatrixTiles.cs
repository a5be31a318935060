using LdlVk.Vulkan.Device;

namespace LdlVk.Vulkan.Kernels;

/// <summary>
/// The tiles of linear_matrix.comp: how a product is cut into workgroups and subgroups. None of it changes the order of a sum, so every
/// choice gives the same bits.
/// </summary>
/// <param name="Rows">Rows of a workgroup's tile.</param>
/// <param name="Features">Features of the tile; of a gated product one half are the gate's, the other half the up's.</param>
/// <param name="SubgroupRows">Rows of a subgroup's part.</param>
/// <param name="SubgroupFeatures">Features of a subgroup's part.</param>
/// <param name="Buffers">2 to load a step of K into one buffer while the other is multiplied, 1 to use half the shared memory.</param>
/// <param name="OtherSubgroupSize">Invocations of a subgroup, if not the units' usual number; else 0.</param>
internal sealed record MatrixTiles(
    uint Rows, uint Features, uint SubgroupRows, uint SubgroupFeatures, uint Buffers, uint OtherSubgroupSize = 0) : ITiling
{
    /// <summary>fp16 values of a step of K, padding included (shaders/include/halves.glsl).</summary>
    private const uint Pitch = 32 + 8;

    /// <summary>Bytes of a step of K, padding included (linear_int8_matrix.comp).</summary>
    private const uint BytePitch = 32 + 16;

    /// <summary>Sums of an invocation that leave registers for operands and for a second workgroup on the core, of 255 registers.</summary>
    private const uint LikelySums = 64;

    /// <summary>Shared memory that leaves as much for another workgroup on a core, of the 64 KiB and more that cards have.</summary>
    private const uint LikelySharedBytes = 32768;

    /// <summary>
    /// Sums of a workgroup, at most: half of the 65,536 registers that every core has. With twice as many, in workgroups of 1024, a Radeon
    /// RX 7900 would spill 77 values (bench/RESULTS.md).
    /// </summary>
    private const uint MaxSumsPerWorkgroup = 32768;

    /// <summary>Matrix units of a core, each fed by a subgroup: NVIDIA's multiprocessors, and AMD's pairs of compute units.</summary>
    private const uint UnitsOfCore = 4;

    public string Name { get; } =
        $"{Rows}x{Features}/{SubgroupRows}x{SubgroupFeatures}x{Buffers}{(OtherSubgroupSize == 0 ? "" : $"w{OtherSubgroupSize}")}";

    /// <summary>Invocations of a subgroup.</summary>
    public uint SubgroupSize(MatrixUnits units) => OtherSubgroupSize == 0 ? units.SubgroupSize : OtherSubgroupSize;

    public uint Threads(MatrixUnits units) => Rows / SubgroupRows * (Features / SubgroupFeatures) * SubgroupSize(units);

    /// <summary>Specialization constants 0 to 9 of linear_matrix.comp.</summary>
    public uint[] Constants(MatrixUnits units) =>
        [Threads(units), SubgroupSize(units), units.M, units.N, units.K, Rows, Features, SubgroupRows, SubgroupFeatures, Buffers];

    /// <summary>
    /// Whether these tiles of linear_matrix.comp, or with bytes of linear_int8_matrix.comp, are within a device's limits.
    /// </summary>
    public bool Fit(MatrixUnits units, MatrixLimits limits, bool bytes)
    {
        uint subgroups = Rows / SubgroupRows * (Features / SubgroupFeatures);
        // Besides its sums an invocation holds what it loads for the next step of K (32), two halves in a register.
        uint sums = SubgroupRows * SubgroupFeatures / SubgroupSize(units), loads = (Rows + Features) * 16 / Threads(units);
        return SubgroupRows % units.M == 0 && SubgroupFeatures % (2 * units.N) == 0
            && SubgroupRows * SubgroupFeatures <= units.MaxSums * SubgroupSize(units) && Rows * Features <= MaxSumsPerWorkgroup
            && sums + loads <= units.MaxRegisters
            && Threads(units) <= limits.Threads && subgroups <= limits.Subgroups
            && SharedBytes(units, bytes) <= limits.SharedBytes;
    }

    /// <summary>
    /// Shared memory of a workgroup: for each buffer a step of K, in fp16 or in bytes with their scales, and the staged results.
    /// </summary>
    private uint SharedBytes(MatrixUnits units, bool bytes)
    {
        uint step = (Rows + Features) * (bytes ? BytePitch + sizeof(float) : Pitch * 2);
        return (Buffers * step) + (Threads(units) / SubgroupSize(units) * units.M * units.N * sizeof(float));
    }

    /// <summary>
    /// All tiles that fit, for any number of rows; the first is the default for an unmeasured device. Large tiles reuse more of what they
    /// load, but waste the unused rows of the last tile and the idle cores of the last wave of workgroups, and too many sums in a subgroup
    /// spill.
    /// </summary>
    /// <param name="units">The matrix units.</param>
    /// <param name="limits">The device's limits.</param>
    /// <param name="size">Rows and features of the product.</param>
    /// <param name="cores">The device's cores; 0 where they are not known.</param>
    /// <param name="bytes">Whether the kernel is linear_int8_matrix.comp.</param>
    public static IReadOnlyList<MatrixTiles> Candidates(
        MatrixUnits units, MatrixLimits limits, ProductSize size, int cores, bool bytes = false)
    {
        MatrixTiles[] usual = Ordered(0);
        if (units.OtherSubgroupSize == 0 || usual.Length == 0) return usual;
        MatrixTiles[] other = Ordered(units.OtherSubgroupSize);
        // The tuner tries the first ones only. What it should not miss: parts of half the size, for which half of the registers do, and the
        // other size of subgroups with both. Mesa's drivers gained 61 % with the former on an RDNA3 card in llama.cpp.
        MatrixTiles?[] seeds = [usual.FirstOrDefault(IsHalf), other.FirstOrDefault(), other.FirstOrDefault(IsHalf)];
        return [.. usual.Take(1).Concat(seeds.OfType<MatrixTiles>()).Concat(usual).Concat(other).Distinct()];

        static bool IsHalf(MatrixTiles tiles) => tiles is { SubgroupRows: 32, SubgroupFeatures: 64 };

        MatrixTiles[] Ordered(uint otherSubgroupSize)
        {
            uint[] sizes = [16, 32, 64, 128, 256];
            return
            [
                .. from tileRows in sizes
                   from features in sizes
                   from subgroupRows in sizes.Where(s => s <= tileRows && s <= 64)
                   from subgroupFeatures in sizes.Where(s => s <= features && s <= 64)
                   from buffers in new uint[] { 2, 1 }
                   let tiles = new MatrixTiles(tileRows, features, subgroupRows, subgroupFeatures, buffers, otherSubgroupSize)
                   where tiles.Fit(units, limits, bytes)
                   orderby tiles.Cost(units, size, cores, bytes)
                   select tiles,
            ];
        }
    }

    /// <summary>An estimate of a product's time, in arbitrary units.</summary>
    private double Cost(MatrixUnits units, ProductSize size, int cores, bool bytes)
    {
        // Loads for each multiplication: from memory into a tile, and from there into registers.
        double tileLoads = (1.0 / Rows) + (1.0 / Features), registerLoads = (1.0 / SubgroupRows) + (1.0 / SubgroupFeatures);
        double sums = (double)SubgroupRows * SubgroupFeatures / SubgroupSize(units), threads = Threads(units);
        // A workgroup of 256 invocations hides its own latency.
        double crowding = Math.Abs(Math.Log2(sums / Math.Min(LikelySums, units.MaxSums))) + Math.Abs(Math.Log2(threads / 256));
        // A second buffer saves a barrier a step, but not where it takes the memory of another workgroup on the core.
        double waiting = Buffers == 1 ? 0.05 : SharedBytes(units, bytes) <= LikelySharedBytes ? 0 : 0.1;
        return Sums(units, size, cores) * (1 + (32 * tileLoads) + (8 * registerLoads) + (0.05 * crowding) + waiting);
    }

    /// <summary>
    /// The sums that the product takes the time of: those of all tiles, used or not. Where the cores are known, the core with the most
    /// workgroups decides, and one whose workgroups have less than four subgroups leaves some of its four matrix units idle.
    /// </summary>
    private double Sums(MatrixUnits units, ProductSize size, int cores)
    {
        double down = Math.Ceiling((double)size.Rows / Rows);
        // Unknown cores: as if they were always full, and whatever the number of features.
        if (cores == 0) return down * Rows;
        double workgroups = down * Math.Ceiling((double)size.Features / Features), each = Math.Ceiling(workgroups / cores);
        double together = Math.Min(each, Math.Max(1, MaxSumsPerWorkgroup / (Rows * Features)));
        double busy = Math.Min(1, together * Threads(units) / SubgroupSize(units) / UnitsOfCore);
        return each * Rows * Features / busy;
    }
}

/// <summary>The size of a product's result.</summary>
/// <param name="Rows">Its rows.</param>
/// <param name="Features">Its features; of a gated product, the gate's and the up's.</param>
internal readonly record struct ProductSize(int Rows, int Features);
