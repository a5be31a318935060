#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"
#include "halve.glsl"

// Converts rows to fp16 operands for matrix units (src/LdlVk.Vulkan/Ops/RowConverter.cs), each with a scale. One workgroup handles a row.
layout(local_size_x = 128) in;
layout(constant_id = 0) const uint TOP = 14u;

layout(push_constant, std430) uniform Push { UVec4s x; Halves y; Floats scales; uint rows; uint vectors; };

const uint THREADS = 128u;
shared uint largest[THREADS];

void main() {
    uint t = gl_LocalInvocationIndex;
    for (uint row = gl_WorkGroupID.x; row < rows; row += gl_NumWorkGroups.x) {
        uint mine = 0u;
        for (uint i = t; i < vectors; i += THREADS) mine = max(mine, magnitude(x.v[row * vectors + i]));
        largest[t] = mine;
        barrier();
        [[unroll]] for (uint half_count = THREADS / 2u; half_count > 0u; half_count /= 2u) {
            if (t < half_count) largest[t] = max(largest[t], largest[t + half_count]);
            barrier();
        }
        Halving h = halving_for(largest[0], TOP);
        if (t == 0u) scales.v[row] = h.scale;
        for (uint i = t; i < vectors; i += THREADS) y.v[row * vectors + i] = halved(x.v[row * vectors + i], h);
        barrier();
    }
}
