#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"

// Op Add (src/LdlVk.Vulkan/Ops/AddOp.cs): y += x. One invocation handles a vector of four; the padding is zero and stays zero.
layout(local_size_x = 64) in;

layout(push_constant, std430) uniform Push { Vec4s x; Vec4s y; uint vectors; };

void main() {
    for (uint i = gl_GlobalInvocationID.x; i < vectors; i += gl_NumWorkGroups.x * gl_WorkGroupSize.x) y.v[i] += x.v[i];
}
