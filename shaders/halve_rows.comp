#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"

// Converts rows to fp16 operands for matrix units (src/LdlVk.Vulkan/Ops/RowConverter.cs). Each row of x is multiplied by the power of two
// that brings its largest magnitude into [2^14, 2^15); the inverse power is stored as the row's scale. Both are exact, so the only error is
// the rounding to 11 bits, and a residual stream or gelu(gate)·up beyond fp16's 65504 stays right. A row with a NaN or an infinity is not
// scaled: its result must not be finite. One workgroup handles a row.
layout(local_size_x = 128) in;

layout(push_constant, std430) uniform Push { UVec4s x; UVec2s y; Floats scales; uint rows; uint vectors; };

const uint THREADS = 128u;
shared uint largest[THREADS];

// Rounds to 11 bits, to nearest (Veltkamp's splitting). Vulkan does not specify how packHalf2x16 rounds, so it must have nothing to round.
vec4 rounded(vec4 f) {
    precise vec4 c = 8193.0 * f;
    precise vec4 high = c - (c - f);
    return high;
}

uint magnitude(uvec4 bits) {
    uvec4 m = bits & 0x7fffffffu;
    return max(max(m.x, m.y), max(m.z, m.w));
}

void main() {
    uint t = gl_LocalInvocationIndex;
    for (uint row = gl_WorkGroupID.x; row < rows; row += gl_NumWorkGroups.x) {
        // Magnitudes compare like the integers with the same bits.
        uint mine = 0u;
        for (uint i = t; i < vectors; i += THREADS) mine = max(mine, magnitude(x.v[row * vectors + i]));
        largest[t] = mine;
        barrier();
        [[unroll]] for (uint half_count = THREADS / 2u; half_count > 0u; half_count /= 2u) {
            if (t < half_count) largest[t] = max(largest[t], largest[t + half_count]);
            barrier();
        }
        // largest = 1.m · 2^(exponent − 127). Below 2^−112 the factor stops growing, so that it and its inverse are normal floats.
        uint exponent = max(largest[0] >> 23, 15u);
        bool finite = exponent < 255u;
        float factor = finite ? uintBitsToFloat((127u + 14u + 127u - exponent) << 23) : 1.0;
        if (t == 0u) scales.v[row] = finite ? uintBitsToFloat((exponent - 14u) << 23) : 1.0;
        for (uint i = t; i < vectors; i += THREADS) {
            vec4 f = uintBitsToFloat(x.v[row * vectors + i]) * factor;
            if (finite) f = rounded(f);
            y.v[row * vectors + i] = uvec2(packHalf2x16(f.xy), packHalf2x16(f.zw));
        }
        barrier();
    }
}
