// Operands of matrix units in fp16.
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

// fp16 values of padding after a tile's row in shared memory: with 16 bytes, the rows that a matrix load reads lie in different banks.
const uint PADDING = 8u;

f16vec4 half4(uvec2 bits) { return f16vec4(unpackFloat2x16(bits.x), unpackFloat2x16(bits.y)); }
