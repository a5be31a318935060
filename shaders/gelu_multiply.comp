#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"
#include "math.glsl"

// y = gelu(gate)·up with gelu's tanh form. One invocation a vector of four; the padding is zero and stays so.
layout(local_size_x = 64) in;

layout(push_constant, std430) uniform Push { Vec4s gate; Vec4s up; Vec4s y; uint vectors; };

// x/2·(1 + tanh u) = x / (1 + e^(−2u)): one exp, and no cancellation where tanh u nears −1. The exponent is capped where the result
// is zero for every finite x, to keep the division within the range in which Vulkan promises its accuracy.
float gelu(float x) {
    const float SQRT_2_OVER_PI = 0.797884560802865356;
    float u = SQRT_2_OVER_PI * fma(0.044715 * x * x, x, x);
    return x / (1.0 + exact_exp(min(-2.0 * u, 80.0)));
}

void main() {
    for (uint i = gl_GlobalInvocationID.x; i < vectors; i += gl_NumWorkGroups.x * gl_WorkGroupSize.x) {
        vec4 g = gate.v[i];
        y.v[i] = vec4(gelu(g.x), gelu(g.y), gelu(g.z), gelu(g.w)) * up.v[i];
    }
}
