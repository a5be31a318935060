#ifndef HALVE_GLSL
#define HALVE_GLSL
#include "magnitude.glsl"

// Shared by the kernels that convert to fp16 (halve_rows.comp, halve_heads.comp, rms_norm.comp, add_norm.comp). Elements that share a scale
// are multiplied by the power of two that brings their largest magnitude into [2^top, 2^(top + 1)); the inverse power is stored as the scale.
// Top is 14, and 5 for products with fp16 sums. Both are exact, so the only error is the rounding to 11 bits, and a residual stream or
// gelu(gate)·up beyond fp16's 65504 stays right. Elements with a NaN or an infinity among them are not scaled: their result must not be
// finite.

layout(buffer_reference, std430, buffer_reference_align = 8) writeonly buffer Halves { uvec2 v[]; };

struct Halving {
    bool finite;
    float factor;
    float scale;
};

// For a largest magnitude 1.m · 2^(exponent − 127). Below 2^−112 the factor stops growing, so that it and its inverse are normal floats.
Halving halving_for(uint largest, const in uint top) {
    uint exponent = max(largest >> 23, 15u);
    Halving h;
    h.finite = exponent < 255u;
    h.factor = h.finite ? uintBitsToFloat((127u + top + 127u - exponent) << 23) : 1.0;
    h.scale = h.finite ? uintBitsToFloat((exponent - top) << 23) : 1.0;
    return h;
}
Halving halving_for(uint largest) { return halving_for(largest, 14u); }

// Rounds to 11 bits, to nearest (Veltkamp's splitting). Vulkan does not specify how packHalf2x16 rounds, so it must have nothing to round.
vec4 rounded(vec4 f) {
    precise vec4 c = 8193.0 * f;
    precise vec4 high = c - (c - f);
    return high;
}

uvec2 halved(uvec4 bits, Halving h) {
    vec4 f = uintBitsToFloat(bits) * h.factor;
    if (h.finite) f = rounded(f);
    return uvec2(packHalf2x16(f.xy), packHalf2x16(f.zw));
}
#endif
