#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"
#include "halve.glsl"
#include "quantize.glsl"

// Ops RmsNorm and NormAdd (src/LdlVk.Vulkan/Ops/RmsNormOp.cs): y = x·rsqrt(mean(x²) + ε)·w, stored, or with ADD added to y.
layout(constant_id = 0) const bool ADD = false;

layout(push_constant, std430) uniform Push {
    Vec4s x; Vec4s w; Vec4s y; uint rows; uint columns; uint vectors; float epsilon; Halves halves; Bytes bytes; Floats scales;
};
#include "norm.glsl"

vec4 input_at(uint at) { return x.v[at]; }

void main() {
    uint t = gl_LocalInvocationIndex;
    for (uint row = gl_WorkGroupID.x; row < rows; row += gl_NumWorkGroups.x) {
        uint first = row * vectors;
        float squares = 0.0;
        for (uint i = t; i < vectors; i += THREADS) squares = square(x.v[first + i], squares);
        float factor = factor_of(squares);
        if (ADD) {
            for (uint i = t; i < vectors; i += THREADS) {
                precise vec4 sum = y.v[first + i] + normed(x.v[first + i], factor, w.v[i]);
                y.v[first + i] = sum;
            }
        } else {
            store_normed(y, w, row, factor, halves, bytes, scales);
        }
    }
}
