#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"

// Ops RmsNorm and NormAdd (src/LdlVk.Vulkan/Ops/RmsNormOp.cs): y = x·rsqrt(mean(x²) + ε)·w, stored, or with ADD added to y. One workgroup
// handles a row. Each invocation sums every THREADS-th vector, then the partial sums are added pairwise, so the order of sums depends on
// the row's length alone.
layout(local_size_x = 64) in;
layout(constant_id = 0) const bool ADD = false;

layout(push_constant, std430) uniform Push { Vec4s x; Vec4s w; Vec4s y; uint rows; uint columns; uint vectors; float epsilon; };

const uint THREADS = 64u;
shared float partial[THREADS];

void main() {
    uint t = gl_LocalInvocationIndex;
    for (uint row = gl_WorkGroupID.x; row < rows; row += gl_NumWorkGroups.x) {
        float sum = 0.0;
        for (uint i = t; i < vectors; i += THREADS) {
            vec4 v = x.v[row * vectors + i];
            [[unroll]] for (uint c = 0u; c < 4u; ++c) sum = fma(v[c], v[c], sum);
        }
        partial[t] = sum;
        barrier();
        [[unroll]] for (uint half_count = THREADS / 2u; half_count > 0u; half_count /= 2u) {
            if (t < half_count) partial[t] += partial[t + half_count];
            barrier();
        }
        float factor = 1.0 / sqrt(partial[0] / float(columns) + epsilon);
        for (uint i = t; i < vectors; i += THREADS) {
            uint at = row * vectors + i;
            // The padding of w is zero and that of x too, so the padding of y stays zero.
            vec4 normed = x.v[at] * factor * w.v[i];
            y.v[at] = ADD ? y.v[at] + normed : normed;
        }
        barrier();
    }
}
