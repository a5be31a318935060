#ifndef QUANTIZE_GLSL
#define QUANTIZE_GLSL
#include "magnitude.glsl"

// Shared by the kernels that convert to int8 (quantize_rows.comp, rms_norm.comp, add_norm.comp). Each group of 32 elements of a row becomes
// signed bytes and a scale; IDevice.Int8Linear defines them. Every step is exact or one correctly rounded multiplication, so all devices give
// the same bits. Vulkan guarantees correct rounding neither for division nor for the reciprocal, so integers are divided.

layout(buffer_reference, std430, buffer_reference_align = 16) writeonly buffer Bytes { uvec4 v[]; };

struct Quantization {
    bool zeros;
    float inverse;
    float scale;
};

// For a group's largest magnitude.
Quantization quantization_for(uint largest) {
    const float ONE_127TH = 0.00787401574803149606;
    uint exponent = largest >> 23;
    Quantization q;
    q.zeros = exponent < 63u || exponent >= 243u;
    uint mantissa = (largest & 0x7fffffu | 0x800000u) >> 8;
    q.inverse = float(0xfe000000u / mantissa) * uintBitsToFloat((244u - exponent) << 23);
    q.scale = !q.zeros ? uintBitsToFloat(largest) * ONE_127TH : exponent < 63u ? 0.0 : uintBitsToFloat(0x7fc00000u);
    return q;
}

uint quantized(uvec4 bits, Quantization q) {
    if (q.zeros) return 0u;
    ivec4 bytes = ivec4(roundEven(uintBitsToFloat(bits) * q.inverse)) & 0xff;
    return uint(bytes.x | bytes.y << 8 | bytes.z << 16 | bytes.w << 24);
}

// Stores a group of which the largest magnitude is known.
void store_group(Bytes bytes, Floats scales, uint group, uvec4 bits[8], uint largest) {
    Quantization q = quantization_for(largest);
    scales.v[group] = q.scale;
    uint words[8];
    [[unroll]] for (uint i = 0u; i < 8u; ++i) words[i] = quantized(bits[i], q);
    bytes.v[group * 2u] = uvec4(words[0], words[1], words[2], words[3]);
    bytes.v[group * 2u + 1u] = uvec4(words[4], words[5], words[6], words[7]);
}
#endif
