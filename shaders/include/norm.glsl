// Shared by rms_norm.comp and add_norm.comp: RMSNorm of rows, a workgroup a row. Each invocation sums every THREADS-th vector, then the
// partial sums are added pairwise, so the order of sums depends on the row's length alone, and is the same in both kernels. The shader
// declares its push constants first.
#include "halve.glsl"
#include "quantize.glsl"

layout(local_size_x = 64) in;
// The form of the operands that a normed row is stored as too while it is at hand: none, HALVES (as by halve_rows.comp) or BYTES (as by
// quantize_rows.comp). These are OperandKind.Number.
layout(constant_id = 1) const uint OPERAND = 0u;
layout(constant_id = 2) const uint TOP = 14u; // of HALVES (halve.glsl)

const uint HALVES = 1u, BYTES = 2u;
const uint THREADS = 64u;
const uint GROUP = 8u;  // vectors that share a scale as bytes

shared float partial[THREADS];
shared uint largest[OPERAND == HALVES ? THREADS : 1u];

// A vector of the row that is normed. The shader defines it.
vec4 input_at(uint at);

// 1/sqrt(mean + ε), from this invocation's part of the sum of squares.
float factor_of(float squares) {
    uint t = gl_LocalInvocationIndex;
    partial[t] = squares;
    barrier();
    [[unroll]] for (uint half_count = THREADS / 2u; half_count > 0u; half_count /= 2u) {
        if (t < half_count) partial[t] += partial[t + half_count];
        barrier();
    }
    float factor = 1.0 / sqrt(partial[0] / float(columns) + epsilon);
    barrier();
    // Two kernels must round a product and a sum alike, so they are `precise`; the factor is not, and the cast keeps that from it.
    return uintBitsToFloat(floatBitsToUint(factor));
}

float square(vec4 v, float sum) {
    [[unroll]] for (uint c = 0u; c < 4u; ++c) sum = fma(v[c], v[c], sum);
    return sum;
}

vec4 normed(vec4 x, float factor, vec4 w) {
    precise vec4 product = x * factor * w;
    return product;
}

// y = x·factor·w, and its operands, which are at one address whichever they are: SwiftShader takes no reference for one of another type.
// The padding of w is zero and that of x too, so the padding of y stays zero.
void store_normed(Vec4s y, Vec4s w, uint row, float factor, Halves halves, Bytes bytes, Floats scales) {
    uint t = gl_LocalInvocationIndex, first = row * vectors;
    if (OPERAND == BYTES) {
        // An invocation takes whole groups, so that no scale crosses invocations: with groups of 8 invocations and a barrier for each 256
        // vectors, the norm took llvmpipe longer than norm and conversion apart.
        for (uint group = t; group < vectors / GROUP; group += THREADS) {
            uvec4 bits[GROUP];
            uint most = 0u;
            [[unroll]] for (uint i = 0u; i < GROUP; ++i) {
                uint at = group * GROUP + i;
                vec4 v = normed(input_at(first + at), factor, w.v[at]);
                y.v[first + at] = v;
                bits[i] = floatBitsToUint(v);
                most = max(most, magnitude(bits[i]));
            }
            store_group(bytes, scales, first / GROUP + group, bits, most);
        }
        return;
    }

    uint mine = 0u;
    for (uint i = t; i < vectors; i += THREADS) {
        vec4 v = normed(input_at(first + i), factor, w.v[i]);
        y.v[first + i] = v;
        if (OPERAND == HALVES) mine = max(mine, magnitude(floatBitsToUint(v)));
    }
    if (OPERAND == HALVES) {
        largest[t] = mine;
        barrier();
        [[unroll]] for (uint half_count = THREADS / 2u; half_count > 0u; half_count /= 2u) {
            if (t < half_count) largest[t] = max(largest[t], largest[t + half_count]);
            barrier();
        }
        Halving h = halving_for(largest[0], TOP);
        if (t == 0u) scales.v[row] = h.scale;
        // Each invocation reads what it has written.
        for (uint i = t; i < vectors; i += THREADS) halves.v[first + i] = halved(floatBitsToUint(y.v[first + i]), h);
    }
}
