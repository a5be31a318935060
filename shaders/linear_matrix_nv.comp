#version 460
// target: vulkan1.3
#extension GL_GOOGLE_include_directive : require
#extension GL_NV_cooperative_matrix2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#include "weights.glsl"
#include "halves.glsl"
#include "matrix.glsl"
#include "math.glsl"
#include "activation.glsl"

// Ops Linear and GatedLinear (src/LdlVk.Vulkan/Ops/LinearOp.cs, GatedLinearOp.cs) on matrices of flexible size (VK_NV_cooperative_matrix2):
// fp16 operands, fp32 sums. halve_rows.comp converts the rows. Matrices of rows and of weights are loaded directly from memory: the driver
// decides how they pass through shared memory and which invocation computes what. int8 becomes fp16, times its group's scale, in registers.
//
// A workgroup computes DOWN × ACROSS matrices of M×N. They belong to SCOPE: the workgroup, or the one subgroup that it consists of.
//
// Order of sums: along K in steps of a group; within a step the driver decides. So the bits depend on SCOPE and M×N, which are fixed for a
// device, and not on DOWN and ACROSS, which are tuned.
//
// GATED: sums of gate and up are computed side by side, and activation(gate)·up is stored.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 32u;
layout(constant_id = 1) const int SCOPE = gl_ScopeSubgroup;
layout(constant_id = 2) const uint M = 16u;
layout(constant_id = 3) const uint N = 16u;
layout(constant_id = 4) const uint DOWN = 1u;
layout(constant_id = 5) const uint ACROSS = 1u;
layout(constant_id = 6) const uint FORMAT = 1u;
layout(constant_id = 7) const bool GATED = false;

layout(push_constant, std430) uniform Push {
    UVec4s x;          // [rows, groups · 32] fp16, followed by M rows of any values
    Floats row_scales; // [rows]
    UVec4s weights;    // [features, groups · 32]
    UInts scales;      // [features, groups] fp16
    UVec4s up;         // the second matrix of a gated product
    UInts up_scales;
    Floats bias;       // [features]
    Floats y;          // [rows, y_stride]
    uint rows;
    uint features;
    uint groups;
    uint y_stride;
    float scale;
    float up_scale;
    uint has_bias;
    float negative_slope; // -1: SELU
    uint silu;         // the gate's activation
};

const uint TURNS = GATED ? 2u : 1u;
const uint GROUP_VECTORS = FORMAT == FP16 ? 4u : 2u; // of weights

// An element of a matrix of weights whose first row is a feature.
float16_t scaled(const in uint k, const in uint column, const in float16_t value, const in uint feature, const in uint group, const in uint turn) {
    if (turn == 1u) return value * float16_t(group_scale(FORMAT, up_scales, feature + column, groups, group));
    return value * float16_t(group_scale(FORMAT, scales, feature + column, groups, group));
}

// Stores the result of an element of a matrix that begins with a row and a feature. Another workgroup stores what lies before `begin`.
float finish(const in uint i, const in uint j, const in float sum, const in float up_sum, const in uvec2 first, const in uvec2 begin) {
    uint row = first.x + i, feature = first.y + j;
    if (row >= begin.x && feature >= begin.y && row < rows && feature < features) {
        float row_scale = row_scales.v[row];
        precise float value = scale * (row_scale * sum);
        if (GATED) value = activate(silu, value) * (up_scale * (row_scale * up_sum));
        if (has_bias != 0u) value += bias.v[feature];
        value = activate_head(negative_slope, value);
        y.v[row * y_stride + feature] = value;
    }
    return sum;
}

void load_weights(out coopmat<float16_t, SCOPE, GROUP, N, gl_MatrixUseB> b, UVec4s from, uint feature, uint group, uint turn) {
    uint pitch = groups * GROUP_VECTORS, at = feature * pitch + group * GROUP_VECTORS;
    if (FORMAT == FP16) {
        coopMatLoad(b, from.v, at, pitch, gl_CooperativeMatrixLayoutColumnMajor);
    } else {
        coopmat<int8_t, SCOPE, GROUP, N, gl_MatrixUseB> encoded;
        coopMatLoad(encoded, from.v, at, pitch, gl_CooperativeMatrixLayoutColumnMajor);
        b = coopmat<float16_t, SCOPE, GROUP, N, gl_MatrixUseB>(encoded);
        coopMatPerElementNV(b, b, scaled, feature, group, turn);
    }
}

void main() {
    // x counts the row tiles of a band, y the feature tiles, z the bands: workgroups that run together share weights, and the rows of a
    // band stay in the cache.
    uvec2 tile = uvec2(DOWN * M, ACROSS * N);
    uvec2 begin = uvec2(gl_WorkGroupID.z * gl_NumWorkGroups.x + gl_WorkGroupID.x, gl_WorkGroupID.y) * tile;
    if (begin.x >= rows) return;
    // The last tile is moved back until it is whole, so that nothing is loaded beyond the end. Only x may have less than a tile.
    uvec2 first = uvec2(min(begin.x, max(rows, tile.x) - tile.x), min(begin.y, features - tile.y));

    coopmat<float, SCOPE, M, N, gl_MatrixUseAccumulator> sums[TURNS * DOWN * ACROSS];
    [[unroll]] for (uint i = 0u; i < TURNS * DOWN * ACROSS; ++i) sums[i] = coopmat<float, SCOPE, M, N, gl_MatrixUseAccumulator>(0.0);

    for (uint step = 0u; step < groups; ++step) {
        // llvmpipe also loads after the loop's end (buffers.glsl).
        uint group = min(step, groups - 1u);
        coopmat<float16_t, SCOPE, M, GROUP, gl_MatrixUseA> a[DOWN];
        [[unroll]] for (uint i = 0u; i < DOWN; ++i)
            coopMatLoad(a[i], x.v, ((first.x + i * M) * groups + group) * 4u, groups * 4u, gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint turn = 0u; turn < TURNS; ++turn) {
            [[unroll]] for (uint j = 0u; j < ACROSS; ++j) {
                coopmat<float16_t, SCOPE, GROUP, N, gl_MatrixUseB> b;
                if (turn == 0u) load_weights(b, weights, first.y + j * N, group, turn);
                else load_weights(b, up, first.y + j * N, group, turn);
                [[unroll]] for (uint i = 0u; i < DOWN; ++i) {
                    uint at = (turn * DOWN + i) * ACROSS + j;
                    sums[at] = coopMatMulAdd(a[i], b, sums[at]);
                }
            }
        }
    }

    [[unroll]] for (uint i = 0u; i < DOWN; ++i) {
        [[unroll]] for (uint j = 0u; j < ACROSS; ++j) {
            uint at = i * ACROSS + j;
            coopMatPerElementNV(sums[at], sums[at], finish, sums[(TURNS - 1u) * DOWN * ACROSS + at], first + uvec2(i * M, j * N), begin);
        }
    }
}
