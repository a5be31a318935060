#ifndef BUFFERS_GLSL
#define BUFFERS_GLSL
// Memory by device address. Kernels have no descriptors: every operand is an address in the push constants, so the size limit of bindings
// (maxStorageBufferRange) does not apply. Rows of tensors and weights are padded with zeros to a multiple of 32 elements.
//
// llvmpipe (Mesa 26.2) loads from an address that all lanes share even if no lane is active: after the end of a loop, or in a branch that
// is not taken. It drops the value, but the address may not be mapped. So inside control flow the index of such a load is clamped.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_control_flow_attributes : require

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Vec4s { vec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer Ints { int v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer UInts { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer UVec2s { uvec2 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer UVec4s { uvec4 v[]; };
#endif
