// Unpacks weights of any format: to fp32 (load_quarter), and int8 and int4 to bytes (load_bytes). All formats are read as 32-bit words,
// which every device supports; 8- and 16-bit storage and arithmetic are not needed.
#include "buffers.glsl"

const uint FP32 = 0u, FP16 = 1u, INT8 = 2u, INT4 = 3u;

// Elements of a quantization group: the unit in which rows are padded, loaded and summed.
const uint GROUP = 32u;

// Elements 8·quarter … 8·quarter + 7 of one group of one row; `groups` groups make a row. The true weight is w · group_scale(…).
// `wide` and `narrow` are the same address, since SwiftShader cannot compile a cast between reference types.
void load_quarter(const uint format, UVec4s wide, UVec2s narrow, uint row, uint groups, uint group, uint quarter, out float w[8]) {
    uint at = (row * groups + group) * 4u + quarter;
    if (format == FP32) {
        [[unroll]] for (uint i = 0u; i < 2u; ++i) {
            vec4 f = uintBitsToFloat(wide.v[2u * at + i]);
            [[unroll]] for (uint j = 0u; j < 4u; ++j) w[4u * i + j] = f[j];
        }
    } else if (format == FP16) {
        uvec4 u = wide.v[at];
        [[unroll]] for (uint j = 0u; j < 4u; ++j) {
            vec2 f = unpackHalf2x16(u[j]);
            w[2u * j] = f.x;
            w[2u * j + 1u] = f.y;
        }
    } else if (format == INT8) {
        uvec2 u = narrow.v[at];
        [[unroll]] for (uint j = 0u; j < 2u; ++j)
            [[unroll]] for (int b = 0; b < 4; ++b)
                w[4u * j + uint(b)] = float(bitfieldExtract(int(u[j]), 8 * b, 8));
    } else {
        // One word: element i is the nibble q + 8 at bit 4·(i / 2) + 16·(i % 2), and its value q·(8 + |q|) (WeightLayout.cs).
        uvec2 pair = narrow.v[at >> 1];
        uint u = (at & 1u) == 0u ? pair.x : pair.y;
        [[unroll]] for (int i = 0; i < 8; ++i) {
            float q = float(bitfieldExtract(u, 4 * (i / 2) + 16 * (i % 2), 4)) - 8.0;
            w[i] = q * (8.0 + abs(q));
        }
    }
}

// The same elements as eight signed bytes, for formats that have scales.
uvec2 load_bytes(const uint format, UVec2s weights, uint row, uint groups, uint group, uint quarter) {
    uint at = (row * groups + group) * 4u + quarter;
    if (format == INT8) return weights.v[at];
    uvec2 pair = weights.v[at >> 1];
    uint u = (at & 1u) == 0u ? pair.x : pair.y;
    uvec2 words = uvec2(0u);
    [[unroll]] for (int i = 0; i < 8; ++i) {
        int q = int(bitfieldExtract(u, 4 * (i / 2) + 16 * (i % 2), 4)) - 8;
        words[i / 4] |= uint(q * (8 + abs(q)) & 0xff) << (8 * (i % 4));
    }
    return words;
}

// The scale of one group: 1 unless the format has scales, which are fp16, two to a word.
float group_scale(const uint format, UInts scales, uint row, uint groups, uint group) {
    if (format != INT8 && format != INT4) return 1.0;
    uint index = row * groups + group;
    vec2 pair = unpackHalf2x16(scales.v[index >> 1]);
    return (index & 1u) == 0u ? pair.x : pair.y;
}
