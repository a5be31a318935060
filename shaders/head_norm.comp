#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"

// Op HeadNorm (src/LdlVk.Vulkan/Ops/HeadNormOp.cs): x = x·rsqrt(mean(x²) + ε)·w of each head of each row, in place. One workgroup handles a
// head. Each invocation sums every THREADS-th square, then the partial sums are added pairwise, so the order of sums depends on the head's
// size alone.
layout(local_size_x = 64) in;

layout(push_constant, std430) uniform Push { Floats x; Floats w; uint rows; uint heads; uint head_dim; uint stride; float epsilon; };

const uint THREADS = 64u;
shared float partial[THREADS];

void main() {
    uint t = gl_LocalInvocationIndex;
    for (uint row = gl_WorkGroupID.y; row < rows; row += gl_NumWorkGroups.y) {
        for (uint head = gl_WorkGroupID.x; head < heads; head += gl_NumWorkGroups.x) {
            uint first = row * stride + head * head_dim;
            float sum = 0.0;
            for (uint i = t; i < head_dim; i += THREADS) sum = fma(x.v[first + i], x.v[first + i], sum);
            partial[t] = sum;
            barrier();
            [[unroll]] for (uint half_count = THREADS / 2u; half_count > 0u; half_count /= 2u) {
                if (t < half_count) partial[t] += partial[t + half_count];
                barrier();
            }
            float factor = 1.0 / sqrt(partial[0] / float(head_dim) + epsilon);
            for (uint i = t; i < head_dim; i += THREADS) x.v[first + i] = x.v[first + i] * factor * w.v[i];
            barrier();
        }
    }
}
