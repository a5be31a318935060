#include "matrix_weights.glsl"
#include "math.glsl"
#include "activation.glsl"

// Ops Linear and GatedLinear (src/LdlVk.Vulkan/Ops/LinearOp.cs, GatedLinearOp.cs) on matrix units (VK_KHR_cooperative_matrix) with fp16
// operands. halve_rows.comp converts the rows. Weights in fp16, int8 or int4 become fp16 on their way into shared memory
// (include/matrix_weights.glsl). Sums are fp32 (linear_matrix.comp), or with HALF_SUMS fp16 over a group of 32 and fp32 over the groups
// (linear_half_matrix.comp).
//
// A workgroup computes a tile of TILE_ROWS rows by TILE_FEATURES features, each subgroup a part of SUB_ROWS × SUB_FEATURES of it, as
// matrices of M×N. While one step of K is multiplied from shared memory, the next one is loaded into registers.
//
// Order of sums: along K in the matrices' steps of K elements, and with HALF_SUMS then along the groups. So the bits depend on M×N×K,
// which is fixed for a device, and not on the tile sizes, which are tuned.
//
// GATED: the tile alternates between N features of the gate and the same N features of up, so that a subgroup has both sums of a feature
// and stores activation(gate)·up.
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
layout(constant_id = 9) const uint BUFFERS = 1u;  // 2: one barrier a step instead of two, for twice the shared memory
layout(constant_id = 10) const uint FORMAT = 1u;
layout(constant_id = 11) const bool GATED = false;

layout(push_constant, std430) uniform Push {
    UVec4s x;          // [rows, groups · 32] fp16
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

const uint PITCH = (GROUP + PADDING) / 4u;  // of a tile's row, in vectors
const uint QUARTERS = GROUP / 8u;           // of a row's step, as they are loaded
const uint X_QUARTERS = TILE_ROWS * QUARTERS;
const uint W_QUARTERS = TILE_FEATURES * QUARTERS;
const uint X_EACH = (X_QUARTERS + THREADS - 1u) / THREADS;
const uint W_EACH = (W_QUARTERS + THREADS - 1u) / THREADS;
const uint DOWN = SUB_ROWS / M;             // matrices of a subgroup
const uint ACROSS = SUB_FEATURES / N;
const uint TURNS = GATED ? 2u : 1u;
const uint EACH = M * N / SUBGROUP;         // elements of a matrix for each invocation

shared f16vec4 x_tile[BUFFERS * TILE_ROWS * PITCH];
shared f16vec4 w_tile[BUFFERS * TILE_FEATURES * PITCH];
shared float stage[THREADS / SUBGROUP * M * N];

uvec4 x_next[X_EACH];
EncodedQuarter w_next[W_EACH];

uint first_row, first_feature;

// The feature in a row of the weight tile, and whether it belongs to up.
uint feature_of(uint tile_row) {
    return GATED ? first_feature + tile_row / (2u * N) * N + tile_row % N : first_feature + tile_row;
}
bool is_up(uint tile_row) { return GATED && tile_row / N % 2u == 1u; }

// Rows and features after the last are replaced by the last; their results are not stored.
void fetch(uint group) {
    [[unroll]] for (uint i = 0u; i < X_EACH; ++i) {
        uint q = min(gl_LocalInvocationIndex + i * THREADS, X_QUARTERS - 1u);
        x_next[i] = x.v[(min(first_row + q / QUARTERS, rows - 1u) * groups + group) * QUARTERS + q % QUARTERS];
    }
    [[unroll]] for (uint i = 0u; i < W_EACH; ++i) {
        uint q = min(gl_LocalInvocationIndex + i * THREADS, W_QUARTERS - 1u);
        uint feature = min(feature_of(q / QUARTERS), features - 1u);
        if (is_up(q / QUARTERS)) w_next[i] = load_encoded(FORMAT, up, up_scales, feature, groups, group, q % QUARTERS);
        else w_next[i] = load_encoded(FORMAT, weights, scales, feature, groups, group, q % QUARTERS);
    }
}

void put(uint buffer_index) {
    [[unroll]] for (uint i = 0u; i < X_EACH; ++i) {
        uint q = gl_LocalInvocationIndex + i * THREADS;
        if (X_QUARTERS % THREADS != 0u && q >= X_QUARTERS) break;
        uint at = (buffer_index * TILE_ROWS + q / QUARTERS) * PITCH + q % QUARTERS * 2u;
        x_tile[at] = half4(x_next[i].xy);
        x_tile[at + 1u] = half4(x_next[i].zw);
    }
    [[unroll]] for (uint i = 0u; i < W_EACH; ++i) {
        uint q = gl_LocalInvocationIndex + i * THREADS;
        if (W_QUARTERS % THREADS != 0u && q >= W_QUARTERS) break;
        uint at = (buffer_index * TILE_FEATURES + q / QUARTERS) * PITCH + q % QUARTERS * 2u;
        f16vec4 low, high;
        decode(FORMAT, w_next[i], low, high);
#ifdef HALF_SUMS
        low *= WEIGHT_FACTOR;
        high *= WEIGHT_FACTOR;
#endif
        w_tile[at] = low;
        w_tile[at + 1u] = high;
    }
}

void main() {
    // x counts the row tiles of a band, y the feature tiles, z the bands: workgroups that run together share weights, and the rows of a
    // band stay in the cache.
    first_row = (gl_WorkGroupID.z * gl_NumWorkGroups.x + gl_WorkGroupID.x) * TILE_ROWS;
    first_feature = gl_WorkGroupID.y * TILE_FEATURES / TURNS;
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
#ifdef HALF_SUMS
        // An fp16 sum lives through one group, so that an invocation holds a single one beside its fp32 sums.
        coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> a[DOWN * (GROUP / K)];
        [[unroll]] for (uint i = 0u; i < DOWN; ++i)
            [[unroll]] for (uint k = 0u; k < GROUP / K; ++k)
                coopMatLoad(a[i * (GROUP / K) + k], x_tile, (at * TILE_ROWS + sub_row + i * M) * PITCH + k * K / 4u, PITCH, gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint j = 0u; j < ACROSS; ++j) {
            coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> b[GROUP / K];
            [[unroll]] for (uint k = 0u; k < GROUP / K; ++k)
                coopMatLoad(b[k], w_tile, (at * TILE_FEATURES + sub_feature + j * N) * PITCH + k * K / 4u, PITCH, gl_CooperativeMatrixLayoutColumnMajor);
            [[unroll]] for (uint i = 0u; i < DOWN; ++i) {
                coopmat<float16_t, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> sum =
                    coopmat<float16_t, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0.0);
                [[unroll]] for (uint k = 0u; k < GROUP / K; ++k) sum = coopMatMulAdd(a[i * (GROUP / K) + k], b[k], sum);
                sums[i * ACROSS + j] += coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(sum);
            }
        }
#else
        for (uint k = 0u; k < GROUP; k += K) {
            coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> a[DOWN];
            [[unroll]] for (uint i = 0u; i < DOWN; ++i)
                coopMatLoad(a[i], x_tile, (at * TILE_ROWS + sub_row + i * M) * PITCH + k / 4u, PITCH, gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint j = 0u; j < ACROSS; ++j) {
                coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> b;
                coopMatLoad(b, w_tile, (at * TILE_FEATURES + sub_feature + j * N) * PITCH + k / 4u, PITCH, gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (uint i = 0u; i < DOWN; ++i) sums[i * ACROSS + j] = coopMatMulAdd(a[i], b, sums[i * ACROSS + j]);
            }
        }
#endif

        if (BUFFERS == 1u) barrier();
        if (!last) put(BUFFERS == 2u ? 1u - at : 0u);
        barrier();
    }

    // Only the driver knows which invocation holds which element, so matrices are stored to shared memory, one at a time.
    uint staged = subgroup * M * N;
    [[unroll]] for (uint i = 0u; i < DOWN; ++i) {
        [[unroll]] for (uint j = 0u; j < ACROSS; j += TURNS) {
            precise float values[EACH];
            [[unroll]] for (uint turn = 0u; turn < TURNS; ++turn) {
                coopMatStore(sums[i * ACROSS + j + turn], stage, staged, N, gl_CooperativeMatrixLayoutRowMajor);
                subgroup_sync();
                [[unroll]] for (uint e = 0u; e < EACH; ++e) {
                    uint place = lane + e * SUBGROUP;
                    uint row = min(first_row + sub_row + i * M + place / N, rows - 1u);
                    precise float total = row_scales.v[row] * stage[staged + place];
                    values[e] = turn == 0u ? scale * total : activate(silu, values[e]) * (up_scale * total);
                }
                subgroup_sync();
            }
            [[unroll]] for (uint e = 0u; e < EACH; ++e) {
                uint place = lane + e * SUBGROUP;
                uint row = first_row + sub_row + i * M + place / N, feature = feature_of(sub_feature + j * N) + place % N;
                if (row >= rows || feature >= features) continue;
                precise float value = values[e];
                if (has_bias != 0u) value += bias.v[feature];
                value = activate_head(negative_slope, value);
                y.v[row * y_stride + feature] = value;
            }
        }
    }
}
