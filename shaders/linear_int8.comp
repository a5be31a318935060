#version 460
#extension GL_GOOGLE_include_directive : require

// Op Int8Linear (include/linear_int8.glsl) for devices without an instruction for the dot product of four bytes.
int dot4(uint a, uint b) {
    int sum = 0;
    for (int i = 0; i < 32; i += 8) sum += bitfieldExtract(int(a), i, 8) * bitfieldExtract(int(b), i, 8);
    return sum;
}

#include "linear_int8.glsl"
