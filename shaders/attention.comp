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
const uint OUTPUTS = (QUERIES * HEAD_DIM + THREADS - 1u) / THREADS;
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
    float acc[OUTPUTS];
    [[unroll]] for (uint i = 0u; i < OUTPUTS; ++i) acc[i] = 0.0;

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

        [[unroll]] for (uint i = 0u; i < OUTPUTS; ++i) {
            uint output_index = t + i * THREADS;
            uint query = min(output_index / HEAD_DIM, QUERIES - 1u), d = output_index % HEAD_DIM;
            precise float sum = acc[i] * rescale[query];
            [[dont_unroll]] for (uint key = 0u; key < KEYS; ++key) sum = fma(p_tile[query * KEYS + key], kv_tile[key * PITCH + d], sum);
            acc[i] = sum;
        }
        barrier();
    }

    [[unroll]] for (uint i = 0u; i < OUTPUTS; ++i) {
        uint output_index = t + i * THREADS;
        uint query = output_index / HEAD_DIM, d = output_index % HEAD_DIM;
        if (int(query) < queries) y.v[(query_row + query) * q_stride + head * HEAD_DIM + d] = acc[i] / total[query];
    }
}
