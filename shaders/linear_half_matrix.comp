#version 460
#extension GL_GOOGLE_include_directive : require

// Linear and GatedLinear on matrix units with fp16 operands and sums in fp16 over each group of 32 (SumFormat.Fp16 in IDevice.cs), for cards
// whose fp16 sums are faster. Rows have magnitudes below 2^6 (halve_rows.comp), and stored weights, which are below 2^15, are multiplied by
// 2^-11. So a sum stays below 32 · 2^6 · 2^4 = 2^15 and never overflows. LinearOp.cs puts the factor back into the product's scale.
#define HALF_SUMS
#define WEIGHT_FACTOR float16_t(0.00048828125)

#include "linear_matrix.glsl"
