#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_integer_dot_product : require
#include "buffers.glsl"

// The rate of dot products of four bytes by themselves (src/LdlVk.Vulkan/Ops/PeakOp.cs). Each chain multiplies its own sum, so that no
// product can be moved out of the loop.
layout(local_size_x = 256) in;

layout(push_constant, std430) uniform Push { Floats y; uint steps; };

const uint CHAINS = 16u;

void main() {
    int sums[CHAINS];
    [[unroll]] for (uint i = 0u; i < CHAINS; ++i) sums[i] = int((gl_LocalInvocationIndex + i + 1u) * 2654435761u);
    int factor = int(steps * 2246822519u) | 0x01010101;
    for (uint step = 0u; step < steps; ++step)
        [[unroll]] for (uint turn = 0u; turn < 4u; ++turn)
            [[unroll]] for (uint i = 0u; i < CHAINS; ++i) sums[i] += dotPacked4x8EXT(sums[i], factor);
    [[unroll]] for (uint i = 1u; i < CHAINS; ++i) sums[0] += sums[i];
    y.v[gl_GlobalInvocationID.x] = float(sums[0]);
}
