// Unpacks weights in fp16, int8 or int4 to fp16 operands of matrix units.
#include "weights.glsl"
#include "halves.glsl"
#include "matrix.glsl"

// A quarter of a group of weights: 8 elements as they are stored, loaded from memory to be put into a tile.
struct EncodedQuarter {
    uvec4 bits;
    float scale;
};

EncodedQuarter load_encoded(const uint format, UVec4s weights, UInts scales, uint row, uint groups, uint group, uint quarter) {
    uint at = (row * groups + group) * 4u + quarter;
    EncodedQuarter q;
    if (format == FP16) q.bits = weights.v[at];
    else if (format == INT8) q.bits.xy = UVec2s(weights).v[at];
    else q.bits.x = UInts(weights).v[at];
    q.scale = group_scale(format, scales, row, groups, group);
    return q;
}

// Unpacks four int8 to fp16. 0x6400 is 1024, whose last bit counts 1, so or-ing b + 128 into it adds it; two bytes at a time.
f16vec4 decode_int8(uint bytes) {
    uint biased = bytes ^ 0x80808080u;
    f16vec2 even = unpackFloat2x16(biased & 0x00ff00ffu | 0x64006400u), odd = unpackFloat2x16(biased >> 8 & 0x00ff00ffu | 0x64006400u);
    return f16vec4(even.x, odd.x, even.y, odd.y) - float16_t(1152.0);
}

// Unpacks two int4 to fp16, from the lowest nibble of each half of a word: q + 8 is or-ed into 1024, and the value is q·(8 + |q|).
f16vec2 decode_int4(uint nibbles) {
    f16vec2 q = unpackFloat2x16(nibbles & 0x000f000fu | 0x64006400u) - float16_t(1032.0);
    return q * (float16_t(8.0) + abs(q));
}

void decode(const uint format, EncodedQuarter q, out f16vec4 low, out f16vec4 high) {
    if (format == FP16) {
        low = half4(q.bits.xy);
        high = half4(q.bits.zw);
    } else {
        float16_t scale = float16_t(q.scale);
        if (format == INT8) {
            low = decode_int8(q.bits.x);
            high = decode_int8(q.bits.y);
        } else {
            low = f16vec4(decode_int4(q.bits.x), decode_int4(q.bits.x >> 4));
            high = f16vec4(decode_int4(q.bits.x >> 8), decode_int4(q.bits.x >> 12));
        }
        low *= scale;
        high *= scale;
    }
}
