#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require

// The rate of int8 matrix units with int32 sums (include/peak_matrix.glsl).
#define OPERAND int8_t
#define SUM int
int8_t element(uint bits) { return int8_t(int(bits) >> 24); }

#include "peak_matrix.glsl"
