#version 460
#extension GL_GOOGLE_include_directive : require
#include "weights.glsl"

// Fills a weight matrix, or its scales, with random values (src/LdlVk.Vulkan/Ops/RandomFill.cs). RandomWeightSource.cs of LdlVk.Runtime
// defines the values, and gives the same bits. One invocation makes a word.
layout(local_size_x = 64) in;

layout(constant_id = 0) const uint FORMAT = FP32;
layout(constant_id = 1) const bool SCALES = false;

layout(buffer_reference, std430, buffer_reference_align = 4) writeonly buffer Words { uint v[]; };
layout(push_constant, std430) uniform Push {
    Words words;    // [rows, words_per_row]
    uint first_row; // number of the first row in the whole matrix
    uint rows;
    uint words_per_row;
    uint columns;   // elements of a row that are not padding
    uint seed;
};

uint hash(uint x) {
    uint state = x * 747796405u + 2891336453u;
    uint word = ((state >> ((state >> 28) + 4u)) ^ state) * 277803737u;
    return (word >> 22) ^ word;
}

float eleven_bits(uint bits) { return float(int(bits & 2047u) - 1024) * 16.0; }

// The first `count` elements of a word; the others are zero.
uint word_of(uint bits, uint count) {
    if (FORMAT == INT4) {
        uint word = 0u;
        for (uint i = 0u; i < 8u; ++i) {
            uint shift = 4u * (i / 2u) + 16u * (i % 2u), nibble = bits >> shift & 15u;
            word |= (i < count && nibble > 0u ? nibble : 8u) << shift;
        }
        return word;
    }
    if (count == 0u) return 0u;
    if (FORMAT == FP32) return floatBitsToUint(float(int(bits >> 8) - (1 << 23)) / 512.0);
    if (FORMAT == FP16) return packHalf2x16(vec2(eleven_bits(bits), count > 1u ? eleven_bits(bits >> 16) : 0.0));
    uint word = 0u;
    for (uint i = 0u; i < count; ++i)
        word |= (uint(max(bitfieldExtract(int(bits), int(8u * i), 8), -127)) & 255u) << (8u * i);
    return word;
}

float scale_of(uint index) { return float(128u + (hash(~seed + index) & 127u)); }

void main() {
    const uint PER_WORD = FORMAT == FP32 ? 1u : FORMAT == FP16 ? 2u : FORMAT == INT8 ? 4u : 8u;
    for (uint row = gl_WorkGroupID.y; row < rows; row += gl_NumWorkGroups.y) {
        uint start = hash(seed + first_row + row);
        for (uint w = gl_GlobalInvocationID.x; w < words_per_row; w += gl_NumWorkGroups.x * gl_WorkGroupSize.x) {
            uint at = w * PER_WORD;
            words.v[row * words_per_row + w] = SCALES
                ? packHalf2x16(vec2(scale_of(2u * w), scale_of(2u * w + 1u)))
                : word_of(hash(start + w), at < columns ? min(columns - at, PER_WORD) : 0u);
        }
    }
}
