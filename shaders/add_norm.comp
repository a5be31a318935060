#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"
#include "halve.glsl"
#include "quantize.glsl"

// Op AddNorm (src/LdlVk.Vulkan/Ops/AddNormOp.cs): residual += y, or with NORM its RMSNorm, and output = RMSNorm of the sum, in the bits of
// NormAdd or Add and RmsNorm. The sum is read while it is in the cache, and a kernel's start is saved.
layout(constant_id = 0) const bool NORM = false;

layout(push_constant, std430) uniform Push {
    Vec4s y; Vec4s y_w; Vec4s residual; Vec4s w; Vec4s result;
    uint rows; uint columns; uint vectors; float epsilon; Halves halves; Bytes bytes; Floats scales;
};
#include "norm.glsl"

uint first;
float y_factor;

vec4 sum_at(uint at) {
    vec4 added = y.v[at];
    if (NORM) added = normed(added, y_factor, y_w.v[at - first]);
    precise vec4 sum = residual.v[at] + added;
    return sum;
}

// Bytes are written by other invocations than those that sum the squares, so the sum is computed again and then stored: reading what others
// have written would take a barrier on memory.
vec4 input_at(uint at) {
    if (OPERAND != BYTES) return residual.v[at];
    vec4 sum = sum_at(at);
    residual.v[at] = sum;
    return sum;
}

void main() {
    uint t = gl_LocalInvocationIndex;
    for (uint row = gl_WorkGroupID.x; row < rows; row += gl_NumWorkGroups.x) {
        first = row * vectors;
        if (NORM) {
            float y_squares = 0.0;
            for (uint i = t; i < vectors; i += THREADS) y_squares = square(y.v[first + i], y_squares);
            y_factor = factor_of(y_squares);
        }

        float squares = 0.0;
        for (uint i = t; i < vectors; i += THREADS) {
            vec4 sum = sum_at(first + i);
            squares = square(sum, squares);
            if (OPERAND != BYTES) residual.v[first + i] = sum;
        }
        store_normed(result, w, row, factor_of(squares), halves, bytes, scales);
    }
}
