#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#include "weights.glsl"
#include "matrix.glsl"

// Op Int8Linear (src/LdlVk.Vulkan/Ops/Int8LinearOp.cs) on matrix units (VK_KHR_cooperative_matrix): int8 × int8 → int32, with tiles as in
// linear_matrix.comp. quantize_rows.comp converts the rows; weights are unpacked on their way into shared memory (include/weights.glsl,
// load_bytes). The sums of each group of 32 are exact; they are scaled and added in fp32, element by element, as IDevice.Int8Linear
// defines, so the bits are the same on all devices.
//
// Only the driver knows which invocation holds which element of a matrix, so the scales form matrices too: a row's scale fills all columns,
// a feature's scale all rows. Shared memory holds each scale once: with a stride of 0 all columns, or rows, are loaded from the same place.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 128u;
layout(constant_id = 1) const uint SUBGROUP = 32u;
layout(constant_id = 2) const uint M = 16u;
layout(constant_id = 3) const uint N = 16u;
layout(constant_id = 4) const uint K = 16u;
layout(constant_id = 5) const uint TILE_ROWS = 64u;
layout(constant_id = 6) const uint TILE_FEATURES = 64u;
layout(constant_id = 7) const uint SUB_ROWS = 32u;
layout(constant_id = 8) const uint SUB_FEATURES = 32u;
layout(constant_id = 9) const uint BUFFERS = 1u;
layout(constant_id = 10) const uint FORMAT = 2u;

layout(push_constant, std430) uniform Push {
    UVec2s x;        // [rows, groups] of 32 bytes
    Floats x_scales; // [rows, groups]
    UVec2s weights;  // [features, groups] of 32 elements
    UInts scales;    // [features, groups] fp16
    Floats bias;     // [features]
    Floats y;        // [rows, y_stride]
    uint rows;
    uint features;
    uint groups;
    uint y_stride;
    float scale;
    uint has_bias;
};

const uint PITCH = (GROUP + 16u) / 4u;      // of a tile's row, in vectors of 4 bytes; 16 bytes of padding keep rows in different banks
const uint X_QUARTERS = TILE_ROWS * 4u;     // 8 bytes each, as they are loaded
const uint W_QUARTERS = TILE_FEATURES * 4u;
const uint X_EACH = (X_QUARTERS + THREADS - 1u) / THREADS;
const uint W_EACH = (W_QUARTERS + THREADS - 1u) / THREADS;
const uint X_SCALES = (TILE_ROWS + THREADS - 1u) / THREADS;
const uint W_SCALES = (TILE_FEATURES + THREADS - 1u) / THREADS;
const uint DOWN = SUB_ROWS / M;
const uint ACROSS = SUB_FEATURES / N;
const uint EACH = M * N / SUBGROUP;

shared i8vec4 x_tile[BUFFERS * TILE_ROWS * PITCH];
shared i8vec4 w_tile[BUFFERS * TILE_FEATURES * PITCH];
shared float x_scale[BUFFERS * TILE_ROWS];
shared float w_scale[BUFFERS * TILE_FEATURES];
shared float stage[THREADS / SUBGROUP * M * N];

uvec2 x_next[X_EACH], w_next[W_EACH];
float x_scale_next[X_SCALES], w_scale_next[W_SCALES];

uint first_row, first_feature;

// Rows and features after the last are replaced by the last; their results are not stored.
void fetch(uint group) {
    [[unroll]] for (uint i = 0u; i < X_EACH; ++i) {
        uint q = min(gl_LocalInvocationIndex + i * THREADS, X_QUARTERS - 1u);
        x_next[i] = x.v[(min(first_row + q / 4u, rows - 1u) * groups + group) * 4u + q % 4u];
    }
    [[unroll]] for (uint i = 0u; i < W_EACH; ++i) {
        uint q = min(gl_LocalInvocationIndex + i * THREADS, W_QUARTERS - 1u);
        w_next[i] = load_bytes(FORMAT, weights, min(first_feature + q / 4u, features - 1u), groups, group, q % 4u);
    }
    [[unroll]] for (uint i = 0u; i < X_SCALES; ++i)
        x_scale_next[i] = x_scales.v[min(first_row + gl_LocalInvocationIndex + i * THREADS, rows - 1u) * groups + group];
    [[unroll]] for (uint i = 0u; i < W_SCALES; ++i)
        w_scale_next[i] = group_scale(FORMAT, scales, min(first_feature + gl_LocalInvocationIndex + i * THREADS, features - 1u), groups, group);
}

void put(uint buffer_index) {
    [[unroll]] for (uint i = 0u; i < X_EACH; ++i) {
        uint q = gl_LocalInvocationIndex + i * THREADS;
        if (X_QUARTERS % THREADS != 0u && q >= X_QUARTERS) break;
        uint at = (buffer_index * TILE_ROWS + q / 4u) * PITCH + q % 4u * 2u;
        x_tile[at] = unpack8(int(x_next[i].x));
        x_tile[at + 1u] = unpack8(int(x_next[i].y));
    }
    [[unroll]] for (uint i = 0u; i < W_EACH; ++i) {
        uint q = gl_LocalInvocationIndex + i * THREADS;
        if (W_QUARTERS % THREADS != 0u && q >= W_QUARTERS) break;
        uint at = (buffer_index * TILE_FEATURES + q / 4u) * PITCH + q % 4u * 2u;
        w_tile[at] = unpack8(int(w_next[i].x));
        w_tile[at + 1u] = unpack8(int(w_next[i].y));
    }
    [[unroll]] for (uint i = 0u; i < X_SCALES; ++i) {
        uint row = gl_LocalInvocationIndex + i * THREADS;
        if (TILE_ROWS % THREADS == 0u || row < TILE_ROWS) x_scale[buffer_index * TILE_ROWS + row] = x_scale_next[i];
    }
    [[unroll]] for (uint i = 0u; i < W_SCALES; ++i) {
        uint feature = gl_LocalInvocationIndex + i * THREADS;
        if (TILE_FEATURES % THREADS == 0u || feature < TILE_FEATURES) w_scale[buffer_index * TILE_FEATURES + feature] = w_scale_next[i];
    }
}

void main() {
    // Bands as in linear_matrix.comp.
    first_row = (gl_WorkGroupID.z * gl_NumWorkGroups.x + gl_WorkGroupID.x) * TILE_ROWS;
    first_feature = gl_WorkGroupID.y * TILE_FEATURES;
    if (first_row >= rows) return;
    uint subgroup = gl_LocalInvocationIndex / SUBGROUP, lane = gl_LocalInvocationIndex % SUBGROUP;
    uint sub_row = subgroup % (TILE_ROWS / SUB_ROWS) * SUB_ROWS, sub_feature = subgroup / (TILE_ROWS / SUB_ROWS) * SUB_FEATURES;

    coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> sums[DOWN * ACROSS];
    [[unroll]] for (uint i = 0u; i < DOWN * ACROSS; ++i) sums[i] = coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0.0);

    fetch(0u);
    put(0u);
    barrier();
    for (uint group = 0u; group < groups; ++group) {
        bool last = group + 1u == groups;
        if (!last) fetch(group + 1u);

        uint at = BUFFERS == 2u ? group % 2u : 0u;
        coopmat<int8_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> a[DOWN * (GROUP / K)];
        coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> row_scales[DOWN];
        [[unroll]] for (uint i = 0u; i < DOWN; ++i) {
            coopMatLoad(row_scales[i], x_scale, at * TILE_ROWS + sub_row + i * M, 0u, gl_CooperativeMatrixLayoutColumnMajor);
            [[unroll]] for (uint k = 0u; k < GROUP / K; ++k)
                coopMatLoad(a[i * (GROUP / K) + k], x_tile, (at * TILE_ROWS + sub_row + i * M) * PITCH + k * K / 4u, PITCH, gl_CooperativeMatrixLayoutRowMajor);
        }
        [[unroll]] for (uint j = 0u; j < ACROSS; ++j) {
            coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> feature_scales;
            coopMatLoad(feature_scales, w_scale, at * TILE_FEATURES + sub_feature + j * N, 0u, gl_CooperativeMatrixLayoutRowMajor);
            coopmat<int8_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> b[GROUP / K];
            [[unroll]] for (uint k = 0u; k < GROUP / K; ++k)
                coopMatLoad(b[k], w_tile, (at * TILE_FEATURES + sub_feature + j * N) * PITCH + k * K / 4u, PITCH, gl_CooperativeMatrixLayoutColumnMajor);
            [[unroll]] for (uint i = 0u; i < DOWN; ++i) {
                coopmat<int, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> sum = coopmat<int, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0);
                [[unroll]] for (uint k = 0u; k < GROUP / K; ++k) sum = coopMatMulAdd(a[i * (GROUP / K) + k], b[k], sum);
                precise coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> s = row_scales[i] * feature_scales;
                precise coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> product = s * coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(sum);
                precise coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> total = sums[i * ACROSS + j] + product;
                sums[i * ACROSS + j] = total;
            }
        }

        if (BUFFERS == 1u) barrier();
        if (!last) put(BUFFERS == 2u ? 1u - at : 0u);
        barrier();
    }

    // All biases before the first store, which the compiler must suspect of writing one.
    float biases[ACROSS * EACH];
    if (has_bias != 0u)
        [[unroll]] for (uint i = 0u; i < ACROSS * EACH; ++i)
            biases[i] = bias.v[min(first_feature + sub_feature + i / EACH * N + (lane + i % EACH * SUBGROUP) % N, features - 1u)];
    uint staged = subgroup * M * N;
    [[unroll]] for (uint i = 0u; i < DOWN; ++i) {
        [[unroll]] for (uint j = 0u; j < ACROSS; ++j) {
            coopMatStore(sums[i * ACROSS + j], stage, staged, N, gl_CooperativeMatrixLayoutRowMajor);
            subgroup_sync();
            [[unroll]] for (uint e = 0u; e < EACH; ++e) {
                uint place = lane + e * SUBGROUP;
                uint row = first_row + sub_row + i * M + place / N, feature = first_feature + sub_feature + j * N + place % N;
                precise float value = scale * stage[staged + place];
                precise float biased = value + biases[j * EACH + e];
                if (row < rows && feature < features) y.v[row * y_stride + feature] = has_bias != 0u ? biased : value;
            }
            subgroup_sync();
        }
    }
}
