#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "buffers.glsl"
#include "halves.glsl"
#include "matrix.glsl"

// Op Attention (src/LdlVk.Vulkan/Ops/AttentionOp.cs) on matrix units (VK_KHR_cooperative_matrix), with fp16 operands and fp32 sums. As in
// attention.comp, a workgroup computes one block of queries of one text and one head, by online softmax over tiles of keys counted by
// position in the text. SPLIT subgroups share M queries: each computes a part of the keys' scores, of the M rows' softmax and of the sums'
// columns, so that a wide head needs few registers. SPLIT decides how many invocations share a row's softmax, and so the order of its sum:
// it is fixed for a device and a head dimension.
//
// The softmax is in powers of 2, by the device's own exp2, whose error (3 units in the last place and 2 more for each binary digit of the
// difference of two scores) vanishes beside the 11 bits of the operands. So its bits depend on the device, as those of its products do.
// Each invocation keeps the scores of EACH keys in registers. Selections have no side of their own to skip: as branches they take three
// times the instructions on AMD.
//
// Range safety: halve_rows.comp converts queries, keys and values, each head of a row with a power of two of its own. Those of q and k
// multiply the score. That of v multiplies the probability, relative to the largest such power that the query has seen so far, which is
// tracked like the largest score. So the factors are at most 1 whatever the magnitudes of the values, and depend only on the keys that the
// query sees.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 128u;
layout(constant_id = 1) const uint SUBGROUP = 32u;
layout(constant_id = 2) const uint M = 16u;
layout(constant_id = 3) const uint N = 16u;
layout(constant_id = 4) const uint K = 16u;
layout(constant_id = 5) const uint HEAD_DIM = 128u;
layout(constant_id = 6) const uint KEYS = 32u;
layout(constant_id = 7) const uint SPLIT = 1u;
layout(constant_id = 8) const bool FEW_REGISTERS = false;  // keep queries in shared memory, and do not unroll loads: all in flight at once would spill

layout(push_constant, std430) uniform Push {
    UVec2s q; UVec2s k; UVec2s v; Floats q_scales; Floats k_scales; Floats v_scales; Floats y; Ints segments; Ints blocks;
    uint heads; uint kv_heads; uint y_stride; float scale; float softcap; int window;
};

const uint DIM = (HEAD_DIM + 31u) / 32u * 32u;  // whole matrices, with zeros
const uint VECTORS = HEAD_DIM / 4u;
const uint PITCH = (DIM + PADDING) / 4u;        // of a tile's row, in vectors
const uint S_PITCH = (KEYS > SPLIT * N ? KEYS : SPLIT * N) + 4u;
const uint P_PITCH = KEYS + PADDING;
const uint QUERIES = THREADS / SUBGROUP / SPLIT * M;  // of the block: 2·KEYS at most, so that they fit where keys and values go
const uint PER_ROW = SUBGROUP * SPLIT / M;      // invocations that share the scores of a query
const uint BLOCKS = DIM / N / SPLIT;            // of a subgroup's columns
const uint VALUES = KEYS * PITCH;               // where they begin in the tile
const uint V_PITCH = K / 4u;
const uint EACH = KEYS / PER_ROW;               // scores of a query that an invocation has, of keys side by side
const float UNSEEN = -3.4e38;
const float LOG2E = 1.44269504088896341;

shared f16vec4 tile[2u * KEYS * PITCH];         // first the queries; then the keys, followed by the values
shared f16vec4 q_tile[FEW_REGISTERS ? QUERIES * PITCH : 2u];  // whole 16 bytes, which matrices in the next array begin at
shared float s_tile[QUERIES * S_PITCH];
shared float16_t p_tile[QUERIES * P_PITCH];
shared float k_scale[KEYS];
shared float v_scale[KEYS];
shared float row_factor[QUERIES];

int prefix_row, prefix_length, own_row;

uint key_row(int position) {
    return uint(position < prefix_length ? prefix_row + position : own_row + position - prefix_length);
}

// Makes the writes of the subgroups that share M queries visible to each other.
void rows_sync() {
    if (SPLIT == 1u) subgroup_sync();
    else barrier();
}

// The maximum, or the sum, over the invocations that share a query.
float row_max(float x) {
    [[unroll]] for (uint i = 1u; i < PER_ROW; i *= 2u) x = max(x, subgroupShuffleXor(x, i));
    return x;
}
float row_sum(float x) {
    [[unroll]] for (uint i = 1u; i < PER_ROW; i *= 2u) x += subgroupShuffleXor(x, i);
    return x;
}

// A vector of a tile's keys.
void load_key(uint i, int tile_position, int last_query, uint kv_head) {
    uint key = i / (DIM / 4u), d = i % (DIM / 4u);
    bool there = tile_position + int(key) <= last_query && d < VECTORS;
    uint at = there ? (key_row(tile_position + int(key)) * kv_heads + kv_head) * VECTORS + d : 0u;
    tile[key * PITCH + d] = there ? half4(k.v[at]) : f16vec4(0.0);
}

// Four columns of four keys' values. They are held transposed, K keys of a column side by side, so that a matrix B is loaded in whole vectors:
// row by row, two bytes at a time would be. Without padding, as shared memory beyond 32 KiB would halve the workgroups on a core.
void load_values(uint i, int tile_position, int last_query, uint kv_head) {
    uint keys = i % (KEYS / 4u), d = i / (KEYS / 4u);
    f16vec4 values[4];
    [[unroll]] for (uint j = 0u; j < 4u; ++j) {
        int position = tile_position + int(4u * keys + j);
        bool there = position <= last_query && d < VECTORS;
        uint at = there ? (key_row(position) * kv_heads + kv_head) * VECTORS + d : 0u;
        values[j] = there ? half4(v.v[at]) : f16vec4(0.0);
    }
    uint at = VALUES + (keys / V_PITCH * DIM + 4u * d) * V_PITCH + keys % V_PITCH;
    [[unroll]] for (uint j = 0u; j < 4u; ++j)
        tile[at + j * V_PITCH] = f16vec4(values[0][j], values[1][j], values[2][j], values[3][j]);
}

// A step of the scores of M queries and N keys.
coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> add_scores(
    coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> queries, uint key, uint d, coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> s) {
    coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> keys;
    coopMatLoad(keys, tile, key * PITCH + d * K / 4u, PITCH, gl_CooperativeMatrixLayoutColumnMajor);
    return coopMatMulAdd(queries, keys, s);
}

void main() {
    uint t = gl_LocalInvocationIndex;
    uint group = t / SUBGROUP / SPLIT * M, share = t / SUBGROUP % SPLIT, lane = t % SUBGROUP;
    uint head = gl_WorkGroupID.y, kv_head = head / (heads / kv_heads);
    int segment = blocks.v[2u * gl_WorkGroupID.x] * 6, first = blocks.v[2u * gl_WorkGroupID.x + 1u];
    uint query_row = uint(segments.v[segment] + first);
    int queries = min(int(QUERIES), segments.v[segment + 1] - first);
    int first_query = segments.v[segment + 2] + first;
    int last_query = first_query + queries - 1;
    prefix_row = segments.v[segment + 3];
    prefix_length = segments.v[segment + 4];
    own_row = segments.v[segment + 5];

    [[dont_unroll]] for (uint i = t; i < QUERIES * DIM / 4u; i += THREADS) {
        uint query = i / (DIM / 4u), d = i % (DIM / 4u);
        bool there = int(query) < queries && d < VECTORS;
        f16vec4 vector = there ? half4(q.v[((query_row + query) * heads + head) * VECTORS + d]) : f16vec4(0.0);
        if (FEW_REGISTERS) q_tile[query * PITCH + d] = vector;
        else tile[query * PITCH + d] = vector;
    }
    barrier();
    coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> q_part[FEW_REGISTERS ? 1u : DIM / K];
    if (!FEW_REGISTERS)
        [[unroll]] for (uint d = 0u; d < DIM / K; ++d)
            coopMatLoad(q_part[d], tile, group * PITCH + d * K / 4u, PITCH, gl_CooperativeMatrixLayoutRowMajor);
    coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> acc[BLOCKS];
    [[unroll]] for (uint d = 0u; d < BLOCKS; ++d) acc[d] = coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0.0);

    // State of the query that this invocation shares with others: its largest score, the largest scale of its values, its sum.
    uint row = group + share * (M / SPLIT) + lane / PER_ROW, part = lane % PER_ROW, first_score = part * EACH;
    int position = first_query + int(row) - int(first_score);
    bool mine = int(row) < queries;
    // Of the distances from 0 on, those at which the query sees a key.
    uint reach = mine ? (window > 0 ? uint(window) : 0x80000000u) : 0u;
    // Scores are in powers of 2. With a softcap they are softcap · tanh(score / softcap), where tanh(x) = 1 - 2 / (e^(2x) + 1).
    float factor_of_score = LOG2E * (softcap > 0.0 ? 2.0 / softcap : 1.0), most = LOG2E * softcap;
    float q_scale = mine ? factor_of_score * scale * q_scales.v[(query_row + row) * heads + head] : 0.0;
    float peak = UNSEEN, value_peak = 0.0, total = 0.0;
    uint s_row = row * S_PITCH, p_row = row * P_PITCH;

    int first_key = window > 0 ? max(0, first_query - window + 1) : 0;
    for (int tile_index = first_key / int(KEYS); tile_index <= last_query / int(KEYS); ++tile_index) {
        int tile_position = tile_index * int(KEYS);
        barrier();
        if (FEW_REGISTERS) {
            [[dont_unroll]] for (uint i = t; i < KEYS * DIM / 4u; i += THREADS) load_key(i, tile_position, last_query, kv_head);
            [[dont_unroll]] for (uint i = t; i < KEYS * DIM / 16u; i += THREADS) load_values(i, tile_position, last_query, kv_head);
        } else {
            for (uint i = t; i < KEYS * DIM / 4u; i += THREADS) load_key(i, tile_position, last_query, kv_head);
            for (uint i = t; i < KEYS * DIM / 16u; i += THREADS) load_values(i, tile_position, last_query, kv_head);
        }
        if (t < KEYS) {
            bool there = tile_position + int(t) <= last_query;
            uint at = there ? key_row(tile_position + int(t)) * kv_heads + kv_head : 0u;
            k_scale[t] = there ? k_scales.v[at] : 0.0;
            v_scale[t] = there ? v_scales.v[at] : 0.0;
        }
        barrier();

        for (uint n = share * N; n < KEYS; n += SPLIT * N) {
            coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> s = coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0.0);
            if (FEW_REGISTERS) {
                [[dont_unroll]] for (uint d = 0u; d < DIM / K; ++d) {
                    coopMatLoad(q_part[0], q_tile, group * PITCH + d * K / 4u, PITCH, gl_CooperativeMatrixLayoutRowMajor);
                    s = add_scores(q_part[0], n, d, s);
                }
            } else {
                [[unroll]] for (uint d = 0u; d < DIM / K; ++d) s = add_scores(q_part[d], n, d, s);
            }
            coopMatStore(s, s_tile, group * S_PITCH + n, S_PITCH, gl_CooperativeMatrixLayoutRowMajor);
        }
        rows_sync();

        float now = peak, value_now = value_peak, scores[EACH], value_scales[EACH];
        [[unroll]] for (uint i = 0u; i < EACH; ++i) scores[i] = s_tile[s_row + first_score + i] * q_scale * k_scale[first_score + i];
        if (softcap > 0.0) {
            // Beyond 64 the quotient is 0 at most; the division stays in the range in which Vulkan specifies its accuracy.
            [[unroll]] for (uint i = 0u; i < EACH; ++i) scores[i] = most - 2.0 * most / (exp2(min(scores[i], 64.0)) + 1.0);
        }
        [[unroll]] for (uint i = 0u; i < EACH; ++i) {
            bool seen = uint(position - tile_position - int(i)) < reach;
            scores[i] = seen ? scores[i] : UNSEEN;
            now = max(now, scores[i]);
            value_scales[i] = v_scale[first_score + i];
            float scale_of_seen = seen ? value_scales[i] : 0.0;
            value_now = max(value_now, scale_of_seen);
        }
        now = row_max(now);
        value_now = row_max(value_now);
        // Powers of two have exact inverses. Before the first key that the query sees there is no value.
        float inverse = value_now == 0.0 ? 0.0 : uintBitsToFloat(0x7f000000u - floatBitsToUint(value_now));
        float sum = 0.0;
        [[unroll]] for (uint i = 0u; i < EACH; ++i) {
            float e = exp2(scores[i] - now), p = scores[i] == UNSEEN ? 0.0 : e;
            sum += p;
            p_tile[p_row + first_score + i] = float16_t(p * inverse * value_scales[i]);
        }
        float decay = peak == now ? 1.0 : exp2(peak - now);
        total = fma(total, decay, row_sum(sum));
        float factor = value_now == 0.0 ? 1.0 : decay * (value_peak * inverse);
        peak = now;
        value_peak = value_now;

        // acc = factor · acc, row by row. Only the driver knows which invocation holds which element, so the factors form a matrix too: of
        // columns that are all the same.
        if (part == 0u) row_factor[row] = factor;
        rows_sync();
        coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> factors;
        coopMatLoad(factors, row_factor, group, 0u, gl_CooperativeMatrixLayoutColumnMajor);
        [[unroll]] for (uint d = 0u; d < BLOCKS; ++d) acc[d] = acc[d] * factors;
        // Unrolled, drivers would keep so much in flight that half of the instructions moved registers.
        [[dont_unroll]] for (uint i = 0u; i < KEYS / K; ++i) {
            coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> p;
            coopMatLoad(p, p_tile, group * P_PITCH + i * K, P_PITCH, gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint d = 0u; d < BLOCKS; ++d) {
                coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> values;
                coopMatLoad(values, tile, VALUES + (i * DIM + (share * BLOCKS + d) * N) * V_PITCH, V_PITCH, gl_CooperativeMatrixLayoutColumnMajor);
                acc[d] = coopMatMulAdd(p, values, acc[d]);
            }
        }
        rows_sync();
    }

    // Each subgroup stores a block of its columns at a time, side by side.
    [[unroll]] for (uint d = 0u; d < BLOCKS; ++d) {
        coopMatStore(acc[d], s_tile, group * S_PITCH + share * N, S_PITCH, gl_CooperativeMatrixLayoutRowMajor);
        rows_sync();
        [[unroll]] for (uint n = part; n < SPLIT * N; n += PER_ROW) {
            uint column = (n / N * BLOCKS + d) * N + n % N;
            if (mine && column < HEAD_DIM) y.v[(query_row + row) * y_stride + head * HEAD_DIM + column] = s_tile[s_row + n] * value_peak / total;
        }
        rows_sync();
    }
}
