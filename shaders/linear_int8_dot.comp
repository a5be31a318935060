#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_integer_dot_product : require

// Op Int8Linear (include/linear_int8.glsl) on devices with VK_KHR_shader_integer_dot_product.
int dot4(uint a, uint b) { return dotPacked4x8EXT(int(a), int(b)); }

#include "linear_int8.glsl"
