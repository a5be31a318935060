#version 460
#extension GL_GOOGLE_include_directive : require

// Linear and GatedLinear on matrix units with fp16 operands and fp32 sums.
#include "linear_matrix.glsl"
