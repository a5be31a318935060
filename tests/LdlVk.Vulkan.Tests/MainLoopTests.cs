using LdlVk.Testing;

namespace LdlVk.Vulkan.Tests;

/// <summary>What is read from assembly, on loops short enough to count by hand.</summary>
public sealed class MainLoopTests
{
    /// <summary>RADV's: the inner loop BB2 lies within BB1–BB4, and BB3, which leaves it, lies between its blocks.</summary>
    private const string Amd = """
        === NIR Shader(s)
        shared_size: 128
        === Assembly
        BB0:
        	s_mov_b32 s0, s3                       ; be800003
        BB1:
        	ds_load_b128 v[4:7], v0                ; d9
        	s_waitcnt lgkmcnt(0)                   ; bf89fc07
        	v_wmma_f32_16x16x16_f16 v[8:15], v[4:11], v[4:11], v[8:15] ; cc
        	s_cbranch_scc0 BB3                     ; bf
        BB2:
        	ds_read_b32 v1, v0                     ; d9
        	s_waitcnt_depctr 0xfff                 ; bf
        	s_cbranch_scc1 BB2                     ; bf
        	s_branch BB4                           ; bf
        BB3:
        	global_store_b32 v[0:1], v1, off       ; dc
        	s_endpgm                               ; bf
        BB4:
        	s_waitcnt vmcnt(0)                     ; bf
        	s_wait_loadcnt_dscnt 0x0               ; bf
        	s_branch BB1                           ; bf
        """;

    /// <summary>NVK's, of the same form.</summary>
    private const string Nvidia = """
        === NAK assembly
        block.u 0 L0 [] -> {
                          bra pT L1                    // delay=1
        } -> [1]
        block.u 1 L1 [0, 4] -> {
              r104..108 = ldsm.16.m8n8.x4 [r101]       // delay=1 wr:0
              r0..4     = hmma.m16n8k16.f32 r108..112 r122..124 r0..4 // delay=15 wt=000010
        } -> [2, 3]
        block.u 2 L2 [1, 2] -> {
              r1        = lds.b32 [r101]               // delay=1
        } -> [2, 4]
        block 3 L3 [1] -> {
                          exit                         // delay=1 wt=000001
        } -> []
        block.u 4 L4 [2] -> {
                          bra pT L1                    // delay=1 wt=000001
        } -> [1]
        """;

    /// <summary>ANV's: the loop L0–L2, with an if within it.</summary>
    private const string Intel = """
        === Shader push map
        === GEN Assembly
        (W)     mov (16)                  r80           r0.6<0>                           {Compacted}
        L0:
                send.slm (16)             r107    r46    null:0  0x065C0000  0x02100500   {F@6,$0}  // wr:1+0, rd:1; load.slm.d32.a32.?
        (W)     sync.nop (1)                            null                              {$3.dst}
                dpas.8x8 (16)             r43<0>:f      r11<0;0,0>:f      r27<0;0,0>:hf     r79<0;0,0>:hf {$8}
        (f0.0)  if (16)                               jip:L1              uip:L1
                mov (16)                  r66           0x00000000                        {Compacted,$0.dst}
        L1:
                endif (16)                            L2
        L2:
        (f0.0)  break (16)                            jip:L3              uip:L3
                while (16)                            L0
        L3:
        (W)     dpas.8x8 (16)             r51<0>:f      r3<0;0,0>:f       r35<0;0,0>:hf     r79<0;0,0>:hf {$5}
        """;

    [Fact]
    public void A_loop_is_what_returns_to_its_head() => Assert.Equal(new MainLoop(11, 1, 2, 2, 3, 4), MainLoop.Of(Amd));

    [Fact]
    public void A_loop_of_NVK_is_read_alike() => Assert.Equal(new MainLoop(4, 1, 2, 0, 2, 2), MainLoop.Of(Nvidia));

    [Fact]
    public void A_loop_of_ANV_is_read_alike() => Assert.Equal(new MainLoop(8, 1, 1, 0, 2, 4), MainLoop.Of(Intel));

    [Fact]
    public void Without_a_loop_with_products_there_is_none()
    {
        Assert.Null(MainLoop.Of(Amd.Replace("v_wmma", "v_add")));
        Assert.Null(MainLoop.Of(""));
    }

    [Theory]
    [InlineData(10, 10, 10, 0)]
    [InlineData(9, 11, 9, 0)] // fewer registers, more subgroups
    [InlineData(11, 9, 10.5, 3)]
    public void A_figure_is_worse_above_the_recorded_one_and_occupancy_below(double registers, double occupancy, double loads, int worse)
    {
        KernelFigures With(double r, double o, double l) => KernelFigures.Parse(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"d\tc\tk\t{r}\t0\t1\t{o}\t5\t{l}\t3\t4\t5\t6"));
        Assert.Equal(worse, With(registers, occupancy, loads).WorseThan(With(10, 10, 10)).Count());
    }
}
