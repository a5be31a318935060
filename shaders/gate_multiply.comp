#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"
#include "math.glsl"

// Op GateMultiply (src/LdlVk.Vulkan/Ops/GateMultiplyOp.cs): y = activation(gate)·up. One invocation handles a vector of four; the padding
// is zero and stays zero.
layout(local_size_x = 64) in;

layout(push_constant, std430) uniform Push { Vec4s gate; Vec4s up; Vec4s y; uint vectors; uint silu; };

void main() {
    for (uint i = gl_GlobalInvocationID.x; i < vectors; i += gl_NumWorkGroups.x * gl_WorkGroupSize.x) {
        vec4 g = gate.v[i];
        y.v[i] = vec4(activate(silu, g.x), activate(silu, g.y), activate(silu, g.z), activate(silu, g.w)) * up.v[i];
    }
}
