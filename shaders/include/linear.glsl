// Shared by the portable kernels of Linear (linear_tile.comp, linear_stream.comp): operands, epilogue, and the order of sums:
//   total = Σ over groups of 32 along K, in order, of fma(group scale, Σ over the group, in order, of fma(w, x), total).
// Summing short groups first keeps the rounding error of long rows small, and applies a group's scale once. Both kernels give the same
// bits.
#include "weights.glsl"
#include "math.glsl"
#include "activation.glsl"

layout(push_constant, std430) uniform Push {
    Vec4s x;         // [rows, groups · 32]
    UVec4s weights;  // [features, groups · 32]
    UVec2s weights_narrow;  // the same
    UInts scales;    // [features, groups] fp16
    Floats bias;     // [features]
    Floats y;        // [rows, y_stride]
    uint rows;
    uint features;
    uint groups;
    uint y_stride;
    float scale;
    uint has_bias;
    float negative_slope; // -1: SELU
};

void store(uint row, uint feature, float total) {
    if (row >= rows || feature >= features) return;
    precise float value = scale * total;
    if (has_bias != 0u) value += bias.v[feature];
    value = activate_head(negative_slope, value);
    y.v[row * y_stride + feature] = value;
}
