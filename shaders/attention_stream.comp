#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "buffers.glsl"
#include "math.glsl"

// Attention for drivers that run on a processor (llvmpipe, SwiftShader): causal attention of one block of queries of one text and one
// head, by online softmax over tiles of keys. A workgroup is one subgroup; each invocation owns QUERIES queries, SUBGROUP apart, with all
// of their elements and sums, so softmax needs no other lane, and there are neither barriers nor shared memory.
//
// What shaped it, measured on llvmpipe (Mesa 25.0, 8 lanes): as in linear_stream.comp a load inside a loop is a gather, so the lanes load
// SUBGROUP neighbouring elements of a key at a time and hand them round by subgroupBroadcast. All loops but the one over tiles are
// unrolled, because an array with an index that the compiler does not know is gathered and scattered too.
//
// Bitwise invariance: as in attention.comp. The tiles are of another size, so the bits are not those of attention.comp.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint SUBGROUP = 8u;
layout(constant_id = 1) const uint HEAD_DIM = 128u;
layout(constant_id = 2) const uint QUERIES = 2u;

const uint KEYS = 8u;  // keys of a tile
const float UNSEEN = -3.4e38;

layout(push_constant, std430) uniform Push {
    Floats q; Floats k; Floats v; Floats y; Ints segments; Ints blocks;
    uint q_stride; uint kv_stride; uint heads_per_kv_head; float scale; float softcap; int window;
};

void main() {
    uint lane = gl_SubgroupInvocationID;
    uint head_column = gl_WorkGroupID.y * HEAD_DIM;
    uint kv_column = gl_WorkGroupID.y / heads_per_kv_head * HEAD_DIM;
    int segment = blocks.v[2u * gl_WorkGroupID.x] * 6, first = blocks.v[2u * gl_WorkGroupID.x + 1u];
    uint query_row = uint(segments.v[segment] + first);
    uint queries = min(SUBGROUP * QUERIES, uint(segments.v[segment + 1] - first));
    int first_query = segments.v[segment + 2] + first;
    int last_query = first_query + int(queries) - 1;
    int prefix_row = segments.v[segment + 3], prefix_length = segments.v[segment + 4], own_row = segments.v[segment + 5];

    float query[QUERIES][HEAD_DIM], acc[QUERIES][HEAD_DIM], peak[QUERIES], total[QUERIES];
    [[unroll]] for (uint i = 0u; i < QUERIES; ++i) {
        uint from = (query_row + min(i * SUBGROUP + lane, queries - 1u)) * q_stride + head_column;
        [[unroll]] for (uint d = 0u; d < HEAD_DIM; ++d) {
            query[i][d] = q.v[from + d];
            acc[i][d] = 0.0;
        }
        peak[i] = UNSEEN;
        total[i] = 0.0;
    }

    int first_key = window > 0 ? max(0, first_query - window + 1) : 0;
    for (int tile = first_key / int(KEYS); tile <= last_query / int(KEYS); ++tile) {
        // Where each key's head begins; the block's last key stands for those after it, which no query sees.
        uint at[KEYS];
        [[unroll]] for (uint key = 0u; key < KEYS; ++key) {
            int position = min(tile * int(KEYS) + int(key), last_query);
            at[key] = uint(position < prefix_length ? prefix_row + position : own_row + position - prefix_length) * kv_stride + kv_column;
        }

        float p[QUERIES][KEYS];
        [[unroll]] for (uint i = 0u; i < QUERIES; ++i)
            [[unroll]] for (uint key = 0u; key < KEYS; ++key) p[i][key] = 0.0;
        [[unroll]] for (uint j = 0u; j < HEAD_DIM; j += SUBGROUP) {
            float mine[KEYS];
            [[unroll]] for (uint key = 0u; key < KEYS; ++key) mine[key] = k.v[at[key] + min(j + lane, HEAD_DIM - 1u)];
            [[unroll]] for (uint d = 0u; d < min(SUBGROUP, HEAD_DIM - j); ++d)
                [[unroll]] for (uint key = 0u; key < KEYS; ++key) {
                    float element = subgroupBroadcast(mine[key], d);
                    [[unroll]] for (uint i = 0u; i < QUERIES; ++i) p[i][key] = fma(query[i][j + d], element, p[i][key]);
                }
        }

        // From dot products to probabilities relative to the largest score so far.
        float rescale[QUERIES];
        [[unroll]] for (uint i = 0u; i < QUERIES; ++i) {
            float before = peak[i];
            [[unroll]] for (uint key = 0u; key < KEYS; ++key) {
                float s = p[i][key] * scale;
                if (softcap > 0.0) s = softcap * exact_tanh(s / softcap);
                int distance = first_query + int(i * SUBGROUP + lane) - tile * int(KEYS) - int(key);
                p[i][key] = distance >= 0 && (window == 0 || distance < window) ? s : UNSEEN;
                peak[i] = max(peak[i], p[i][key]);
            }
            float sum = 0.0;
            [[unroll]] for (uint key = 0u; key < KEYS; ++key) {
                p[i][key] = p[i][key] == UNSEEN ? 0.0 : exact_exp(p[i][key] - peak[i]);
                sum += p[i][key];
            }
            rescale[i] = exact_exp(before - peak[i]);
            total[i] = fma(total[i], rescale[i], sum);
        }

        [[unroll]] for (uint j = 0u; j < HEAD_DIM; j += SUBGROUP) {
            float mine[KEYS];
            [[unroll]] for (uint key = 0u; key < KEYS; ++key) mine[key] = v.v[at[key] + min(j + lane, HEAD_DIM - 1u)];
            [[unroll]] for (uint d = 0u; d < min(SUBGROUP, HEAD_DIM - j); ++d) {
                [[unroll]] for (uint i = 0u; i < QUERIES; ++i) acc[i][j + d] *= rescale[i];
                [[unroll]] for (uint key = 0u; key < KEYS; ++key) {
                    float element = subgroupBroadcast(mine[key], d);
                    [[unroll]] for (uint i = 0u; i < QUERIES; ++i) acc[i][j + d] = fma(p[i][key], element, acc[i][j + d]);
                }
            }
        }
    }

    [[unroll]] for (uint i = 0u; i < QUERIES; ++i) {
        uint mine = i * SUBGROUP + lane;
        if (mine >= queries) continue;
        uint to = (query_row + mine) * q_stride + head_column;
        [[unroll]] for (uint d = 0u; d < HEAD_DIM; ++d) y.v[to + d] = acc[i][d] / total[i];
    }
}
