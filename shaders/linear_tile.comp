#version 460
#extension GL_GOOGLE_include_directive : require
#include "linear.glsl"

// Op Linear (src/LdlVk.Vulkan/Ops/LinearOp.cs), portable kernel for GPUs, in fp32. A workgroup of 16×16 invocations computes a tile of
// 16·TM rows by 64 features. It loads one group of 32 along K at a time into shared memory, where weights are dequantized
// (include/weights.glsl). Each invocation holds TM×4 sums in registers, of adjacent features, so that the stores of a row are contiguous.
layout(local_size_x = 16, local_size_y = 16) in;
layout(constant_id = 0) const uint FORMAT = 0u;
layout(constant_id = 1) const uint TM = 4u;

const uint TN = 4u;
const uint TILE_ROWS = 16u * TM;
const uint TILE_FEATURES = 16u * TN;
const uint THREADS = 256u;
// One float of padding keeps the column-wise stores of different lanes in different banks.
const uint X_PITCH = 16u * 4u + 1u;
const uint W_PITCH = TILE_FEATURES + 1u;

shared float x_tile[GROUP * X_PITCH];
shared float w_tile[GROUP * W_PITCH];
shared float s_tile[TILE_FEATURES];

void main() {
    // Row tiles are counted first, so that workgroups that run together share weights: each weight is read from memory once, not once
    // for every tile of rows, and the inputs, which are small, stay in the cache.
    uint first_row = gl_WorkGroupID.x * TILE_ROWS;
    uint first_feature = gl_WorkGroupID.y * TILE_FEATURES;
    uint t = gl_LocalInvocationIndex;
    float total[TM][TN];
    [[unroll]] for (uint i = 0u; i < TM; ++i)
        [[unroll]] for (uint j = 0u; j < TN; ++j) total[i][j] = 0.0;

    for (uint group = 0u; group < groups; ++group) {
        for (uint v = t; v < TILE_ROWS * (GROUP / 4u); v += THREADS) {
            uint row = v / 8u, k = v % 8u;
            vec4 f = x.v[(min(first_row + row, rows - 1u) * groups + group) * 8u + k];
            [[unroll]] for (uint c = 0u; c < 4u; ++c) x_tile[(4u * k + c) * X_PITCH + row] = f[c];
        }
        {
            uint row = t / 4u, quarter = t % 4u;
            float part[8];
            load_quarter(FORMAT, weights, weights_narrow, min(first_feature + row, features - 1u), groups, group, quarter, part);
            [[unroll]] for (uint i = 0u; i < 8u; ++i) w_tile[(8u * quarter + i) * W_PITCH + row] = part[i];
        }
        if (t < TILE_FEATURES) s_tile[t] = group_scale(FORMAT, scales, min(first_feature + t, features - 1u), groups, group);
        barrier();

        float sum[TM][TN];
        [[unroll]] for (uint i = 0u; i < TM; ++i)
            [[unroll]] for (uint j = 0u; j < TN; ++j) sum[i][j] = 0.0;
        for (uint k = 0u; k < GROUP; ++k) {
            float xs[TM], ws[TN];
            [[unroll]] for (uint i = 0u; i < TM; ++i) xs[i] = x_tile[k * X_PITCH + gl_LocalInvocationID.y + 16u * i];
            [[unroll]] for (uint j = 0u; j < TN; ++j) ws[j] = w_tile[k * W_PITCH + gl_LocalInvocationID.x + 16u * j];
            [[unroll]] for (uint i = 0u; i < TM; ++i)
                [[unroll]] for (uint j = 0u; j < TN; ++j) sum[i][j] = fma(ws[j], xs[i], sum[i][j]);
        }
        [[unroll]] for (uint i = 0u; i < TM; ++i)
            [[unroll]] for (uint j = 0u; j < TN; ++j)
                total[i][j] = fma(s_tile[gl_LocalInvocationID.x + 16u * j], sum[i][j], total[i][j]);
        barrier();
    }

    [[unroll]] for (uint i = 0u; i < TM; ++i)
        [[unroll]] for (uint j = 0u; j < TN; ++j)
            store(first_row + gl_LocalInvocationID.y + 16u * i, first_feature + gl_LocalInvocationID.x + 16u * j, total[i][j]);
}
