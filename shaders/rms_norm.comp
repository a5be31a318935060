#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"
#include "halve.glsl"

// Ops RmsNorm and NormAdd (src/LdlVk.Vulkan/Ops/RmsNormOp.cs): y = x·rsqrt(mean(x²) + ε)·w, stored, or with ADD added to y. One workgroup
// handles a row. Each invocation sums every THREADS-th vector, then the partial sums are added pairwise, so the order of sums depends on
// the row's length alone. With HALVES the row is stored as an fp16 operand too, as halve_rows.comp would store it, while it is in the cache.
layout(local_size_x = 64) in;
layout(constant_id = 0) const bool ADD = false;
layout(constant_id = 1) const bool HALVES = false;

layout(push_constant, std430) uniform Push {
    Vec4s x; Vec4s w; Vec4s y; uint rows; uint columns; uint vectors; float epsilon; UVec2s halves; Floats scales;
};

const uint THREADS = 64u;
shared float partial[THREADS];
shared uint largest[HALVES ? THREADS : 1u];

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
        uint mine = 0u;
        for (uint i = t; i < vectors; i += THREADS) {
            uint at = row * vectors + i;
            // The padding of w is zero and that of x too, so the padding of y stays zero.
            vec4 normed = x.v[at] * factor * w.v[i];
            y.v[at] = ADD ? y.v[at] + normed : normed;
            if (HALVES) mine = max(mine, magnitude(floatBitsToUint(normed)));
        }
        if (HALVES) {
            largest[t] = mine;
            barrier();
            [[unroll]] for (uint half_count = THREADS / 2u; half_count > 0u; half_count /= 2u) {
                if (t < half_count) largest[t] = max(largest[t], largest[t + half_count]);
                barrier();
            }
            Halving h = halving_for(largest[0]);
            if (t == 0u) scales.v[row] = h.scale;
            // Each invocation reads what it has written.
            for (uint i = t; i < vectors; i += THREADS) halves.v[row * vectors + i] = halved(floatBitsToUint(y.v[row * vectors + i]), h);
        }
        barrier();
    }
}
