// What the variants of Linear share: operands, epilogue, and the order of sums, which is part of the contract between them:
//   total = Σ over groups of 32 along K, in order, of fma(group scale, Σ over the group, in order, of fma(w, x), total).
// Short sums first keep the rounding error of long rows small, and a group's scale is applied once. Every variant gives the same bits.
#include "weights.glsl"

layout(push_constant, std430) uniform Push {
    Vec4s x;         // [rows, groups · 32]
    UVec4s weights;  // [features, groups · 32]
    UVec2s weights_narrow;  // the same
    UInts scales;    // [features, groups] halves
    Floats bias;     // [features]
    Floats y;        // [rows, y_stride]
    uint rows;
    uint features;
    uint groups;
    uint y_stride;
    float scale;
    uint has_bias;
    float negative_slope;
};

void store(uint row, uint feature, float total) {
    if (row >= rows || feature >= features) return;
    float value = scale * total;
    if (has_bias != 0u) value += bias.v[feature];
    if (value < 0.0) value *= negative_slope;
    y.v[row * y_stride + feature] = value;
}
