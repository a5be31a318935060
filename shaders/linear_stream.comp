#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "linear.glsl"

// Op Linear (src/LdlVk.Vulkan/Ops/LinearOp.cs), portable kernel for drivers on a processor (llvmpipe, SwiftShader), in fp32. A workgroup is
// one subgroup. Each invocation owns FEATURES output features and ROWS rows; their sums lie on the stack, since all loop indices are known
// to the compiler. Weights are dequantized in include/weights.glsl.
//
// Measurements that shaped it, on llvmpipe (Mesa 25.0, 8 lanes, two cores; 128 × 4608 × 1152, by processor time on a busy machine):
//  - A load inside a loop is a gather even if all lanes have the same address, and a gather costs as much as 16 multiply-adds. So the lanes
//    load 32 adjacent inputs with four gathers and share them by subgroupBroadcast, one instruction each.
//  - A gathered weight serves ROWS rows, a gathered input SUBGROUP·FEATURES features: with 16 rows, 1 feature gives 30 GFLOP/s, 2 give
//    43, 4 give 47 (fp16; int8 30, 44, 54). More features gain nothing and take seconds to compile.
//  - Row tiles are counted first, so that a tile of weights, which the lanes read from 32 rows at once, stays in the second-level cache:
//    47 GFLOP/s became 56 (int8: 54, 60).
//  - Four rows are summed together, because a sum is one chain of dependent additions.
//  - Shared memory and barriers are not used: on such drivers a barrier switches coroutines.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint SUBGROUP = 8u;
layout(constant_id = 1) const uint FORMAT = 0u;
layout(constant_id = 2) const uint ROWS = 16u;
layout(constant_id = 3) const uint FEATURES = 4u;

const uint CHAINS = 4u;

void main() {
    uint first_row = gl_WorkGroupID.x * ROWS;
    // The features of an invocation are SUBGROUP apart, so that the lanes' stores are adjacent.
    uint first_feature = gl_WorkGroupID.y * FEATURES * SUBGROUP + gl_SubgroupInvocationID;
    float total[ROWS][FEATURES];
    [[unroll]] for (uint i = 0u; i < ROWS; ++i)
        [[unroll]] for (uint f = 0u; f < FEATURES; ++f) total[i][f] = 0.0;

    for (uint group = 0u; group < groups; ++group) {
        float w[FEATURES][GROUP], s[FEATURES];
        [[unroll]] for (uint f = 0u; f < FEATURES; ++f) {
            uint weight_row = min(first_feature + f * SUBGROUP, features - 1u);
            s[f] = group_scale(FORMAT, scales, weight_row, groups, group);
            [[unroll]] for (uint q = 0u; q < 4u; ++q) {
                float part[8];
                load_quarter(FORMAT, weights, weights_narrow, weight_row, groups, group, q, part);
                [[unroll]] for (uint i = 0u; i < 8u; ++i) w[f][8u * q + i] = part[i];
            }
        }

        [[unroll]] for (uint i = 0u; i < ROWS; i += CHAINS) {
            float sum[CHAINS][FEATURES];
            [[unroll]] for (uint r = 0u; r < CHAINS; ++r)
                [[unroll]] for (uint f = 0u; f < FEATURES; ++f) sum[r][f] = 0.0;
            [[unroll]] for (uint j = 0u; j < 8u; j += SUBGROUP) {
                vec4 mine[CHAINS];
                [[unroll]] for (uint r = 0u; r < CHAINS; ++r)
                    mine[r] = x.v[(min(first_row + i + r, rows - 1u) * groups + group) * 8u + j + gl_SubgroupInvocationID];
                [[unroll]] for (uint lane = 0u; lane < SUBGROUP; ++lane)
                    [[unroll]] for (uint c = 0u; c < 4u; ++c)
                        [[unroll]] for (uint r = 0u; r < CHAINS; ++r) {
                            float input_value = subgroupBroadcast(mine[r][c], lane);
                            [[unroll]] for (uint f = 0u; f < FEATURES; ++f)
                                sum[r][f] = fma(w[f][4u * (j + lane) + c], input_value, sum[r][f]);
                        }
            }
            [[unroll]] for (uint r = 0u; r < CHAINS; ++r)
                [[unroll]] for (uint f = 0u; f < FEATURES; ++f) total[i + r][f] = fma(s[f], sum[r][f], total[i + r][f]);
        }
    }

    [[unroll]] for (uint i = 0u; i < ROWS; ++i)
        [[unroll]] for (uint f = 0u; f < FEATURES; ++f) store(first_row + i, first_feature + f * SUBGROUP, total[i][f]);
}
