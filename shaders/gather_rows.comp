#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"

// Op GatherRows (src/LdlVk.Vulkan/Ops/GatherRowsOp.cs): y[i] = x[indices[i]]. Copies whole padded rows; one invocation handles a vector of
// four.
layout(local_size_x = 64) in;

layout(push_constant, std430) uniform Push { Vec4s x; Ints indices; Vec4s y; uint rows; uint vectors; };

void main() {
    for (uint row = gl_WorkGroupID.y; row < rows; row += gl_NumWorkGroups.y) {
        uint from = uint(indices.v[min(row, rows - 1u)]) * vectors;
        for (uint i = gl_GlobalInvocationID.x; i < vectors; i += gl_NumWorkGroups.x * gl_WorkGroupSize.x)
            y.v[row * vectors + i] = x.v[from + i];
    }
}
