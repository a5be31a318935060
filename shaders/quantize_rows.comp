#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"
#include "quantize.glsl"

// Converts rows to int8 operands for Int8Linear (src/LdlVk.Vulkan/Ops/RowConverter.cs). One invocation handles a group of 32.
layout(local_size_x = 64) in;

layout(push_constant, std430) uniform Push { UVec4s x; Bytes y; Floats scales; uint groups; };

void main() {
    for (uint group = gl_GlobalInvocationID.x; group < groups; group += gl_NumWorkGroups.x * gl_WorkGroupSize.x) {
        uvec4 bits[8];
        uint largest = 0u;
        [[unroll]] for (uint i = 0u; i < 8u; ++i) {
            bits[i] = x.v[group * 8u + i];
            largest = max(largest, magnitude(bits[i]));
        }

        store_group(y, scales, group, bits, largest);
    }
}
