// Op Int8Linear (src/LdlVk.Vulkan/Ops/Int8LinearOp.cs), portable kernels: shared-memory tiles as in linear_tile.comp. A workgroup of 16×16
// invocations computes a tile of 16·TM rows by 64 features, a group of 32 along K at a time, each invocation TM×4 elements. Weights are
// unpacked to bytes in include/weights.glsl. The including file defines dot4, the product of four bytes. Sums of a group are exact, and the
// rest is `precise`, so every dot4 gives the same bits.
#include "weights.glsl"

layout(local_size_x = 16, local_size_y = 16) in;
layout(constant_id = 0) const uint FORMAT = INT8;
layout(constant_id = 1) const uint TM = 4u;

layout(push_constant, std430) uniform Push {
    UVec2s x;        // [rows, groups] of 32 bytes
    Floats x_scales; // [rows, groups]
    UVec2s weights;  // [features, groups · 32]
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

const uint TN = 4u;
const uint TILE_ROWS = 16u * TM;
const uint TILE_FEATURES = 16u * TN;
const uint THREADS = 256u;
const uint WORDS = GROUP / 4u;
// One word of padding keeps the column-wise stores of different lanes in different banks.
const uint X_PITCH = 16u * 4u + 1u;
const uint W_PITCH = TILE_FEATURES + 1u;

shared uint x_tile[WORDS * X_PITCH];
shared uint w_tile[WORDS * W_PITCH];
shared float x_scale[16u * 4u];
shared float w_scale[TILE_FEATURES];

void main() {
    // Bands as in linear_matrix.comp.
    uint first_row = (gl_WorkGroupID.z * gl_NumWorkGroups.x + gl_WorkGroupID.x) * TILE_ROWS;
    if (first_row >= rows) return;
    uint first_feature = gl_WorkGroupID.y * TILE_FEATURES;
    uint t = gl_LocalInvocationIndex;
    precise float total[TM][TN];
    [[unroll]] for (uint i = 0u; i < TM; ++i)
        [[unroll]] for (uint j = 0u; j < TN; ++j) total[i][j] = 0.0;

    for (uint group = 0u; group < groups; ++group) {
        // A quarter of a group is eight bytes, two words.
        uint quarter = t % 4u;
        if (t / 4u < TILE_ROWS) {
            uvec2 words = x.v[(min(first_row + t / 4u, rows - 1u) * groups + group) * 4u + quarter];
            x_tile[2u * quarter * X_PITCH + t / 4u] = words.x;
            x_tile[(2u * quarter + 1u) * X_PITCH + t / 4u] = words.y;
        }
        {
            uvec2 words = load_bytes(FORMAT, weights, min(first_feature + t / 4u, features - 1u), groups, group, quarter);
            w_tile[2u * quarter * W_PITCH + t / 4u] = words.x;
            w_tile[(2u * quarter + 1u) * W_PITCH + t / 4u] = words.y;
        }
        if (t < TILE_ROWS) x_scale[t] = x_scales.v[min(first_row + t, rows - 1u) * groups + group];
        if (t >= THREADS - TILE_FEATURES) {
            uint feature = t - (THREADS - TILE_FEATURES);
            w_scale[feature] = group_scale(FORMAT, scales, min(first_feature + feature, features - 1u), groups, group);
        }
        barrier();

        int sum[TM][TN];
        [[unroll]] for (uint i = 0u; i < TM; ++i)
            [[unroll]] for (uint j = 0u; j < TN; ++j) sum[i][j] = 0;
        [[unroll]] for (uint k = 0u; k < WORDS; ++k) {
            uint xs[TM], ws[TN];
            [[unroll]] for (uint i = 0u; i < TM; ++i) xs[i] = x_tile[k * X_PITCH + gl_LocalInvocationID.y + 16u * i];
            [[unroll]] for (uint j = 0u; j < TN; ++j) ws[j] = w_tile[k * W_PITCH + gl_LocalInvocationID.x + 16u * j];
            [[unroll]] for (uint i = 0u; i < TM; ++i)
                [[unroll]] for (uint j = 0u; j < TN; ++j) sum[i][j] += dot4(xs[i], ws[j]);
        }
        [[unroll]] for (uint i = 0u; i < TM; ++i)
            [[unroll]] for (uint j = 0u; j < TN; ++j) {
                precise float s = x_scale[gl_LocalInvocationID.y + 16u * i] * w_scale[gl_LocalInvocationID.x + 16u * j];
                precise float product = s * float(sum[i][j]);
                total[i][j] = total[i][j] + product;
            }
        barrier();
    }

    [[unroll]] for (uint i = 0u; i < TM; ++i)
        [[unroll]] for (uint j = 0u; j < TN; ++j) {
            uint row = first_row + gl_LocalInvocationID.y + 16u * i, feature = first_feature + gl_LocalInvocationID.x + 16u * j;
            if (row < rows && feature < features) {
                precise float value = scale * total[i][j];
                if (has_bias != 0u) value = value + bias.v[feature];
                y.v[row * y_stride + feature] = value;
            }
        }
}
