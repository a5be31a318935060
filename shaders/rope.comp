#version 460
#extension GL_GOOGLE_include_directive : require
#include "buffers.glsl"

// Op Rope (src/LdlVk.Vulkan/Ops/RopeOp.cs): rotary embedding, half-split, in place. The host computes the table in double, since Vulkan
// specifies the accuracy of sin and cos only within [−π, π]. One invocation rotates a pair.
layout(local_size_x = 64) in;

layout(push_constant, std430) uniform Push { Floats x; Ints positions; Floats table; uint rows; uint heads; uint head_dim; uint stride; uint table_stride; };

void main() {
    uint half_dim = head_dim / 2u;
    uint pairs = heads * half_dim;
    for (uint row = gl_WorkGroupID.y; row < rows; row += gl_NumWorkGroups.y) {
        uint angle = uint(positions.v[min(row, rows - 1u)]) * table_stride;
        for (uint pair = gl_GlobalInvocationID.x; pair < pairs; pair += gl_NumWorkGroups.x * gl_WorkGroupSize.x) {
            uint i = pair % half_dim;
            uint at = row * stride + (pair / half_dim) * head_dim + i;
            float cosine = table.v[angle + i], sine = table.v[angle + half_dim + i];
            float a = x.v[at], b = x.v[at + half_dim];
            x.v[at] = a * cosine - b * sine;
            x.v[at + half_dim] = b * cosine + a * sine;
        }
    }
}
