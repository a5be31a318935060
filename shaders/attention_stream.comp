#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "buffers.glsl"
#include "math.glsl"

// Op Attention (src/LdlVk.Vulkan/Ops/AttentionOp.cs), portable kernel for drivers on a processor (llvmpipe, SwiftShader), in fp32. A
// workgroup is one subgroup, and computes the causal attention of one block of queries of one text and one head, by online softmax over
// tiles of keys. Each invocation owns one query with all of its elements and sums, so softmax needs no other lane, no barriers and no
// shared memory.
//
// Measurements that shaped it, on llvmpipe (Mesa 25.0, 8 lanes): as in linear_stream.comp a load inside a loop is a gather, so the lanes
// load SUBGROUP adjacent elements of a key at a time and share them by subgroupBroadcast. All loops but the one over tiles are unrolled,
// because an array access with an index unknown to the compiler is a gather or scatter too. 8 heads of 128 take a 16th of attention.comp's
// time. Two queries an invocation would gain a few per cent of that, but take a quarter longer to compile. Compiling takes 2.5 s of
// processor time for heads of 128, and 12 s for heads of 256.
//
// Bitwise invariance: as in attention.comp. The tiles have another size, so the bits differ from those of attention.comp.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint SUBGROUP = 8u;
layout(constant_id = 1) const uint HEAD_DIM = 128u;

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
    uint queries = min(SUBGROUP, uint(segments.v[segment + 1] - first));
    int first_query = segments.v[segment + 2] + first;
    int last_query = first_query + int(queries) - 1;
    int prefix_row = segments.v[segment + 3], prefix_length = segments.v[segment + 4], own_row = segments.v[segment + 5];

    uint from = (query_row + min(lane, queries - 1u)) * q_stride + head_column;
    float query[HEAD_DIM];
    precise float acc[HEAD_DIM];
    [[unroll]] for (uint d = 0u; d < HEAD_DIM; ++d) {
        query[d] = q.v[from + d];
        acc[d] = 0.0;
    }
    precise float peak = UNSEEN, total = 0.0;

    int first_key = window > 0 ? max(0, first_query - window + 1) : 0;
    for (int tile = first_key / int(KEYS); tile <= last_query / int(KEYS); ++tile) {
        // Address of each key's head. Keys after the block's last, which no query sees, are replaced by the last.
        uint at[KEYS];
        [[unroll]] for (uint key = 0u; key < KEYS; ++key) {
            int position = min(tile * int(KEYS) + int(key), last_query);
            at[key] = uint(position < prefix_length ? prefix_row + position : own_row + position - prefix_length) * kv_stride + kv_column;
        }

        precise float p[KEYS];
        [[unroll]] for (uint key = 0u; key < KEYS; ++key) p[key] = 0.0;
        [[unroll]] for (uint j = 0u; j < HEAD_DIM; j += SUBGROUP) {
            float mine[KEYS];
            [[unroll]] for (uint key = 0u; key < KEYS; ++key) mine[key] = k.v[at[key] + min(j + lane, HEAD_DIM - 1u)];
            [[unroll]] for (uint d = 0u; d < min(SUBGROUP, HEAD_DIM - j); ++d)
                [[unroll]] for (uint key = 0u; key < KEYS; ++key) p[key] = fma(query[j + d], subgroupBroadcast(mine[key], d), p[key]);
        }

        // Dot products become probabilities relative to the largest score so far.
        precise float before = peak, sum = 0.0;
        [[unroll]] for (uint key = 0u; key < KEYS; ++key) {
            precise float s = p[key] * scale;
            if (softcap > 0.0) s = softcap * exact_tanh(s / softcap);
            int distance = first_query + int(lane) - tile * int(KEYS) - int(key);
            p[key] = distance >= 0 && (window == 0 || distance < window) ? s : UNSEEN;
            peak = max(peak, p[key]);
        }
        [[unroll]] for (uint key = 0u; key < KEYS; ++key) {
            p[key] = p[key] == UNSEEN ? 0.0 : exact_exp(p[key] - peak);
            sum += p[key];
        }
        precise float rescale = exact_exp(before - peak);
        total = fma(total, rescale, sum);

        [[unroll]] for (uint j = 0u; j < HEAD_DIM; j += SUBGROUP) {
            float mine[KEYS];
            [[unroll]] for (uint key = 0u; key < KEYS; ++key) mine[key] = v.v[at[key] + min(j + lane, HEAD_DIM - 1u)];
            [[unroll]] for (uint d = 0u; d < min(SUBGROUP, HEAD_DIM - j); ++d) {
                acc[j + d] *= rescale;
                [[unroll]] for (uint key = 0u; key < KEYS; ++key) acc[j + d] = fma(p[key], subgroupBroadcast(mine[key], d), acc[j + d]);
            }
        }
    }

    if (lane >= queries) return;
    uint to = (query_row + lane) * q_stride + head_column;
    [[unroll]] for (uint d = 0u; d < HEAD_DIM; ++d) y.v[to + d] = acc[d] / total;
}
