#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"
#include "math.glsl"

// Op LdlReadout (src/LdlVk.Vulkan/Ops/LdlReadoutOp.cs). One invocation handles a row, since a text takes only a few hundred operations.
// Output row: score, distribution[bins], weights[attributes], rewards[attributes][bins].
layout(local_size_x = 1) in;

layout(push_constant, std430) uniform Push {
    Floats regression; Floats gating; Floats y;
    uint rows; uint attributes; uint bins; uint regression_stride; uint gating_stride; uint y_stride; float gate_temperature;
};

// Loads have the same address in all lanes, so the index is clamped: see buffers.glsl.
uint at_attribute(uint a) { return min(a, attributes - 1u); }
uint at_bin(uint b) { return min(b, bins - 1u); }

void read_out(uint row) {
    uint distribution = row * y_stride + 1u;
    uint weights = distribution + bins;
    uint rewards = weights + attributes;

    // rewards: softmax over the bins of each attribute.
    for (uint a = 0u; a < attributes; ++a) {
        uint from = row * regression_stride + at_attribute(a) * bins, to = rewards + at_attribute(a) * bins;
        float peak = regression.v[from];
        for (uint b = 1u; b < bins; ++b) peak = max(peak, regression.v[from + at_bin(b)]);
        float sum = 0.0;
        for (uint b = 0u; b < bins; ++b) {
            float e = exact_exp(regression.v[from + at_bin(b)] - peak);
            y.v[to + b] = e;
            sum += e;
        }
        for (uint b = 0u; b < bins; ++b) y.v[to + b] = y.v[to + at_bin(b)] / sum;
    }

    // weights: the gates as they are, or their softmax.
    uint gates = row * gating_stride;
    if (gate_temperature > 0.0) {
        float peak = gating.v[gates];
        for (uint a = 1u; a < attributes; ++a) peak = max(peak, gating.v[gates + at_attribute(a)]);
        float sum = 0.0;
        for (uint a = 0u; a < attributes; ++a) {
            float e = exact_exp((gating.v[gates + at_attribute(a)] - peak) / gate_temperature);
            y.v[weights + a] = e;
            sum += e;
        }
        for (uint a = 0u; a < attributes; ++a) y.v[weights + a] = y.v[weights + at_attribute(a)] / sum;
    } else {
        for (uint a = 0u; a < attributes; ++a) y.v[weights + a] = gating.v[gates + at_attribute(a)];
    }

    // distribution = weights · rewards; score = Σ distribution · linspace(0, 1).
    float score = 0.0;
    for (uint b = 0u; b < bins; ++b) {
        float sum = 0.0;
        for (uint a = 0u; a < attributes; ++a)
            sum = fma(y.v[weights + at_attribute(a)], y.v[rewards + at_attribute(a) * bins + at_bin(b)], sum);
        y.v[distribution + b] = sum;
        score = fma(sum, float(b) / float(bins - 1u), score);
    }
    y.v[row * y_stride] = score;
}

void main() {
    for (uint row = gl_WorkGroupID.x; row < rows; row += gl_NumWorkGroups.x) read_out(min(row, rows - 1u));
}
