#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "linear.glsl"

// Linear for drivers that run on a processor (llvmpipe, SwiftShader). Each invocation owns one output feature and ROWS rows.
//
// What shaped it, measured on llvmpipe (Mesa 25.0, 8 lanes): a load inside a loop is a gather even where all lanes want the same
// address, and a gather costs about 20 instructions. So the lanes load 32 neighbouring inputs with four gathers and hand them round by
// subgroupBroadcast, one instruction each: 4.5 GFLOP/s a core became 17. Four rows advance together because a sum is one chain of
// dependent FMAs. Shared memory and barriers, which switch coroutines on such drivers, are not used.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint FORMAT = 0u;
layout(constant_id = 2) const uint ROWS = 16u;
layout(constant_id = 0) const uint SUBGROUP = 8u;

const uint CHAINS = 4u;

void main() {
    uint feature = gl_GlobalInvocationID.x;
    uint first_row = gl_WorkGroupID.y * ROWS;
    uint weight_row = min(feature, features - 1u);
    float total[ROWS];
    [[unroll]] for (uint i = 0u; i < ROWS; ++i) total[i] = 0.0;

    for (uint group = 0u; group < groups; ++group) {
        float w[GROUP];
        [[unroll]] for (uint q = 0u; q < 4u; ++q) {
            float part[8];
            load_quarter(FORMAT, weights, weights_narrow, weight_row, groups, group, q, part);
            [[unroll]] for (uint i = 0u; i < 8u; ++i) w[8u * q + i] = part[i];
        }
        float s = group_scale(FORMAT, scales, weight_row, groups, group);

        [[unroll]] for (uint i = 0u; i < ROWS; i += CHAINS) {
            float sum[CHAINS] = float[CHAINS](0.0, 0.0, 0.0, 0.0);
            [[unroll]] for (uint j = 0u; j < 8u; j += SUBGROUP) {
                vec4 mine[CHAINS];
                [[unroll]] for (uint r = 0u; r < CHAINS; ++r)
                    mine[r] = x.v[(min(first_row + i + r, rows - 1u) * groups + group) * 8u + j + gl_SubgroupInvocationID];
                [[unroll]] for (uint lane = 0u; lane < SUBGROUP; ++lane)
                    [[unroll]] for (uint c = 0u; c < 4u; ++c)
                        [[unroll]] for (uint r = 0u; r < CHAINS; ++r)
                            sum[r] = fma(w[4u * (j + lane) + c], subgroupBroadcast(mine[r][c], lane), sum[r]);
            }
            [[unroll]] for (uint r = 0u; r < CHAINS; ++r) total[i + r] = fma(s, sum[r], total[i + r]);
        }
    }

    [[unroll]] for (uint i = 0u; i < ROWS; ++i) store(first_row + i, feature, total[i]);
}
