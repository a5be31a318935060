#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"
#include "math.glsl"

// Op Attention (src/LdlVk.Vulkan/Ops/AttentionOp.cs), portable kernel for GPUs, in fp32. A workgroup computes the causal attention of one
// block of queries of one text and one head, by online softmax over tiles of keys.
//
// Bitwise invariance: key tiles are counted by position in the text, and each gathers its rows from the shared prefix's storage or the
// text's own. A tile in which a query sees no key does not change that query's state: its maximum stays, the rescaling factor is exactly
// exp(0) = 1, and zeros are added. So it does not matter which queries share a block, or how far the block's range of tiles goes.
//
// The long loops must not be unrolled: their bounds are constants, and llvmpipe would then compile for over a minute.
layout(local_size_x = 128) in;
layout(constant_id = 0) const uint HEAD_DIM = 128u;
layout(constant_id = 1) const uint KEYS = 32u;  // keys of a tile

const uint QUERIES = 16u;  // queries of a block; AttentionKernels.PortableQueryBlock
const uint THREADS = 128u;
const uint PITCH = HEAD_DIM + 1u;
// An invocation sums COLUMNS elements of the head for each of SHARE queries, and takes a key for all of these sums before the next key; GROUPS
// of invocations divide the queries. With a loop over keys for each sum Mesa spilled 21 to 33 values on Intel's cards with heads of 160 to
// 256, and on NVIDIA's kept all sums in memory; each key's value and each probability was loaded once a sum.
const uint COLUMNS = (HEAD_DIM + THREADS - 1u) / THREADS;
const uint GROUPS = HEAD_DIM > 64u ? 1u : HEAD_DIM > 32u ? 2u : HEAD_DIM > 16u ? 4u : 8u;
const uint SHARE = QUERIES / GROUPS;
const float UNSEEN = -3.4e38;

layout(push_constant, std430) uniform Push {
    Floats q; Floats k; Floats v; Floats y; Ints segments; Ints blocks;
    uint q_stride; uint kv_stride; uint heads_per_kv_head; float scale; float softcap; int window;
};

shared float q_tile[QUERIES * HEAD_DIM];
shared float kv_tile[KEYS * PITCH];
shared float p_tile[QUERIES * KEYS];
shared float peak[QUERIES];
shared float rescale[QUERIES];
shared float total[QUERIES];

int prefix_row, prefix_length, own_row;

uint key_row(int position) {
    return uint(position < prefix_length ? prefix_row + position : own_row + position - prefix_length);
}

// Loads one tile of keys or values, without positions after the block's last query.
void load_tile(Floats source, uint column, int first_position, int last_position) {
    [[dont_unroll]] for (uint i = gl_LocalInvocationIndex; i < KEYS * HEAD_DIM; i += THREADS) {
        uint key = i / HEAD_DIM, d = i % HEAD_DIM;
        int position = first_position + int(key);
        kv_tile[key * PITCH + d] = position <= last_position ? source.v[key_row(position) * kv_stride + column + d] : 0.0;
    }
}

void main() {
    uint t = gl_LocalInvocationIndex;
    uint head = gl_WorkGroupID.y;
    uint kv_column = head / heads_per_kv_head * HEAD_DIM;
    int segment = blocks.v[2u * gl_WorkGroupID.x] * 6, first = blocks.v[2u * gl_WorkGroupID.x + 1u];
    uint query_row = uint(segments.v[segment] + first);
    int queries = min(int(QUERIES), segments.v[segment + 1] - first);
    int first_query = segments.v[segment + 2] + first;
    int last_query = first_query + queries - 1;
    prefix_row = segments.v[segment + 3];
    prefix_length = segments.v[segment + 4];
    own_row = segments.v[segment + 5];

    [[dont_unroll]] for (uint i = t; i < QUERIES * HEAD_DIM; i += THREADS) {
        uint query = i / HEAD_DIM, d = i % HEAD_DIM;
        q_tile[i] = int(query) < queries ? q.v[(query_row + query) * q_stride + head * HEAD_DIM + d] : 0.0;
    }
    if (t < QUERIES) {
        peak[t] = UNSEEN;
        total[t] = 0.0;
    }
    // Invocations without a query or an element compute those of others, which are not stored.
    uint first_mine = min(t / HEAD_DIM, GROUPS - 1u) * SHARE, element = HEAD_DIM < THREADS ? t % HEAD_DIM : t;
    precise float acc[SHARE][COLUMNS];
    [[unroll]] for (uint i = 0u; i < SHARE; ++i)
        [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) acc[i][c] = 0.0;

    int first_key = window > 0 ? max(0, first_query - window + 1) : 0;
    for (int tile = first_key / int(KEYS); tile <= last_query / int(KEYS); ++tile) {
        int tile_position = tile * int(KEYS);
        load_tile(k, kv_column, tile_position, last_query);
        barrier();

        [[dont_unroll]] for (uint i = t; i < QUERIES * KEYS; i += THREADS) {
            uint query = i / KEYS, key = i % KEYS;
            precise float s = 0.0;
            [[dont_unroll]] for (uint d = 0u; d < HEAD_DIM; ++d) s = fma(q_tile[query * HEAD_DIM + d], kv_tile[key * PITCH + d], s);
            s *= scale;
            if (softcap > 0.0) s = softcap * exact_tanh(s / softcap);
            int distance = first_query + int(query) - tile_position - int(key);
            p_tile[i] = distance >= 0 && (window == 0 || distance < window) ? s : UNSEEN;
        }
        barrier();

        if (t < QUERIES) {
            float before = peak[t], now = before;
            [[dont_unroll]] for (uint key = 0u; key < KEYS; ++key) now = max(now, p_tile[t * KEYS + key]);
            precise float sum = 0.0;
            [[dont_unroll]] for (uint key = 0u; key < KEYS; ++key) {
                float s = p_tile[t * KEYS + key];
                precise float p = s == UNSEEN ? 0.0 : exact_exp(s - now);
                p_tile[t * KEYS + key] = p;
                sum += p;
            }
            precise float factor = exact_exp(before - now);
            peak[t] = now;
            rescale[t] = factor;
            total[t] = fma(total[t], factor, sum);
        }
        load_tile(v, kv_column, tile_position, last_query);
        barrier();

        [[unroll]] for (uint i = 0u; i < SHARE; ++i)
            [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) acc[i][c] *= rescale[first_mine + i];
        [[dont_unroll]] for (uint key = 0u; key < KEYS; ++key) {
            float value[COLUMNS];
            [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) value[c] = kv_tile[key * PITCH + min(element + c * THREADS, HEAD_DIM - 1u)];
            [[unroll]] for (uint i = 0u; i < SHARE; ++i) {
                float p = p_tile[(first_mine + i) * KEYS + key];
                [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) acc[i][c] = fma(p, value[c], acc[i][c]);
            }
        }
        barrier();
    }

    if (t >= GROUPS * HEAD_DIM && HEAD_DIM < THREADS) return;
    [[unroll]] for (uint i = 0u; i < SHARE; ++i) {
        uint query = first_mine + i;
        [[unroll]] for (uint c = 0u; c < COLUMNS; ++c) {
            uint d = element + c * THREADS;
            if (d < HEAD_DIM && int(query) < queries) y.v[(query_row + query) * q_stride + head * HEAD_DIM + d] = acc[i][c] / total[query];
        }
    }
}
