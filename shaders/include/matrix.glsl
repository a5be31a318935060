// What kernels on matrix units share: fp16 operands, and the pitch of their tiles in shared memory.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

// Elements of a tile's row in shared memory beyond its own: 16 bytes put the rows that a matrix load reads together into different banks.
const uint PADDING = 8u;

f16vec4 half4(uvec2 bits) { return f16vec4(unpackFloat2x16(bits.x), unpackFloat2x16(bits.y)); }

// Makes what one invocation wrote to shared memory visible to the others of its subgroup.
void subgroup_sync() {
    controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared, gl_SemanticsAcquireRelease);
}
