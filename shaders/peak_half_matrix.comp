#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

// The rate of fp16 matrix units with fp16 sums (include/peak_matrix.glsl).
#define OPERAND float16_t
#define SUM float16_t
float16_t element(uint bits) { return float16_t(float(bits >> 21) / 1024.0 - 1.0); }

#include "peak_matrix.glsl"
