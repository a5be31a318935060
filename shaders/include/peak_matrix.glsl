// What matrix units reach by themselves (src/LdlVk.Vulkan/Ops/PeakOp.cs): products whose operands stay in registers. The including file
// defines OPERAND and SUM, the types of elements, and element(bits), an operand made of random bits.
#include "buffers.glsl"
#include "matrix.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 128u;
layout(constant_id = 1) const uint SUBGROUP = 32u;
layout(constant_id = 2) const uint M = 16u;
layout(constant_id = 3) const uint N = 16u;
layout(constant_id = 4) const uint K = 16u;
layout(constant_id = 5) const uint SUMS = 4u; // matrices of sums of a subgroup, each with its own chain of products

layout(push_constant, std430) uniform Push { Floats y; uint steps; };

const uint OPERANDS = (M > N ? M : N) * K;

shared OPERAND operands[2u * OPERANDS];
shared SUM stage[THREADS / SUBGROUP * M * N];

void main() {
    for (uint i = gl_LocalInvocationIndex; i < 2u * OPERANDS; i += THREADS) operands[i] = element((i + 1u) * 2654435761u);
    barrier();
    // Two pairs of operands in turn, so that the units do not see the same bits each time.
    coopmat<OPERAND, gl_ScopeSubgroup, M, K, gl_MatrixUseA> a, other_a;
    coopmat<OPERAND, gl_ScopeSubgroup, K, N, gl_MatrixUseB> b, other_b;
    coopMatLoad(a, operands, 0u, K, gl_CooperativeMatrixLayoutRowMajor);
    coopMatLoad(other_a, operands, OPERANDS, K, gl_CooperativeMatrixLayoutRowMajor);
    coopMatLoad(b, operands, OPERANDS, K, gl_CooperativeMatrixLayoutColumnMajor);
    coopMatLoad(other_b, operands, 0u, K, gl_CooperativeMatrixLayoutColumnMajor);

    coopmat<SUM, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> sums[SUMS];
    [[unroll]] for (uint i = 0u; i < SUMS; ++i) sums[i] = coopmat<SUM, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(SUM(i));
    for (uint step = 0u; step < steps; ++step) {
        [[unroll]] for (uint i = 0u; i < SUMS; ++i) sums[i] = coopMatMulAdd(a, b, sums[i]);
        [[unroll]] for (uint i = 0u; i < SUMS; ++i) sums[i] = coopMatMulAdd(other_a, other_b, sums[i]);
    }

    [[unroll]] for (uint i = 1u; i < SUMS; ++i) sums[0] += sums[i];
    uint subgroup = gl_LocalInvocationIndex / SUBGROUP;
    coopMatStore(sums[0], stage, subgroup * M * N, N, gl_CooperativeMatrixLayoutRowMajor);
    barrier();
    y.v[gl_GlobalInvocationID.x] = float(stage[gl_LocalInvocationIndex % (THREADS / SUBGROUP * M * N)]);
}
