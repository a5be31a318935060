#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"

// Converts rows to int8 operands for Int8Linear (src/LdlVk.Vulkan/Ops/RowConverter.cs): each group of 32 of a row becomes signed bytes and
// a scale. IDevice.Int8Linear defines the result. Every step is exact or one correctly rounded multiplication, so all devices give the same
// bits. Vulkan guarantees correct rounding neither for division nor for the reciprocal, so integers are divided. One invocation handles a
// group.
layout(local_size_x = 64) in;

layout(push_constant, std430) uniform Push { UVec4s x; UVec4s y; Floats scales; uint groups; };

const float ONE_127TH = 0.00787401574803149606;

uint magnitude(uvec4 bits) {
    uvec4 m = bits & 0x7fffffffu;
    return max(max(m.x, m.y), max(m.z, m.w));
}

void main() {
    for (uint group = gl_GlobalInvocationID.x; group < groups; group += gl_NumWorkGroups.x * gl_WorkGroupSize.x) {
        uvec4 bits[8];
        // Magnitudes compare like the integers with the same bits.
        uint largest = 0u;
        [[unroll]] for (uint i = 0u; i < 8u; ++i) {
            bits[i] = x.v[group * 8u + i];
            largest = max(largest, magnitude(bits[i]));
        }

        uint exponent = largest >> 23;
        uint words[8] = uint[8](0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u);
        float scale = exponent < 63u ? 0.0 : uintBitsToFloat(0x7fc00000u);
        if (exponent >= 63u && exponent < 243u) {
            uint mantissa = (largest & 0x7fffffu | 0x800000u) >> 8;
            float inverse = float(0xfe000000u / mantissa) * uintBitsToFloat((244u - exponent) << 23);
            scale = uintBitsToFloat(largest) * ONE_127TH;
            [[unroll]] for (uint i = 0u; i < 8u; ++i) {
                ivec4 q = ivec4(roundEven(uintBitsToFloat(bits[i]) * inverse)) & 0xff;
                words[i] = uint(q.x | q.y << 8 | q.z << 16 | q.w << 24);
            }
        }
        scales.v[group] = scale;
        y.v[group * 2u] = uvec4(words[0], words[1], words[2], words[3]);
        y.v[group * 2u + 1u] = uvec4(words[4], words[5], words[6], words[7]);
    }
}
