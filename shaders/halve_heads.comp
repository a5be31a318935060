#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "buffers.glsl"
#include "halve.glsl"

// Converts the heads of queries, keys and values to fp16 operands for matrix units (src/LdlVk.Vulkan/Ops/RowConverter.cs), each head of a row
// with a scale: "rows" are those heads. A subgroup handles a head, so that no barrier is needed; a workgroup of halve_rows.comp would leave
// 96 of 128 invocations idle with heads of 128. The bits are the same.
layout(local_size_x = 128) in;
layout(constant_id = 0) const uint SUBGROUP = 32u;

layout(push_constant, std430) uniform Push { UVec4s x; Halves y; Floats scales; uint rows; uint vectors; };

const uint HEADS = 128u / SUBGROUP;

void main() {
    uint lane = gl_LocalInvocationIndex % SUBGROUP;
    for (uint head = gl_WorkGroupID.x * HEADS + gl_LocalInvocationIndex / SUBGROUP; head < rows; head += gl_NumWorkGroups.x * HEADS) {
        uint mine = 0u;
        for (uint i = lane; i < vectors; i += SUBGROUP) mine = max(mine, magnitude(x.v[head * vectors + i]));
        [[unroll]] for (uint i = 1u; i < SUBGROUP; i *= 2u) mine = max(mine, subgroupShuffleXor(mine, i));
        Halving h = halving_for(mine);
        if (lane == 0u) scales.v[head] = h.scale;
        for (uint i = lane; i < vectors; i += SUBGROUP) y.v[head * vectors + i] = halved(x.v[head * vectors + i], h);
    }
}
