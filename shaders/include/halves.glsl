// Operands of matrix units as halves.
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

// Halves of a tile's row in shared memory beyond its own: 16 bytes put the rows that a matrix load reads together into different banks.
const uint PADDING = 8u;

f16vec4 half4(uvec2 bits) { return f16vec4(unpackFloat2x16(bits.x), unpackFloat2x16(bits.y)); }
