#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"

// The rate of fp32 arithmetic by itself (src/LdlVk.Vulkan/Ops/PeakOp.cs): chains of multiply-adds in registers.
layout(local_size_x = 256) in;

layout(push_constant, std430) uniform Push { Floats y; uint steps; };

const uint CHAINS = 16u;

void main() {
    float sums[CHAINS];
    [[unroll]] for (uint i = 0u; i < CHAINS; ++i) sums[i] = float(gl_LocalInvocationIndex + i) / 256.0;
    float factor = 1.0 - float(steps & 1u) / 1024.0, addend = float(steps & 2u) / 1024.0;
    for (uint step = 0u; step < steps; ++step)
        [[unroll]] for (uint turn = 0u; turn < 4u; ++turn)
            [[unroll]] for (uint i = 0u; i < CHAINS; ++i) sums[i] = fma(sums[i], factor, addend);
    [[unroll]] for (uint i = 1u; i < CHAINS; ++i) sums[0] += sums[i];
    y.v[gl_GlobalInvocationID.x] = sums[0];
}
