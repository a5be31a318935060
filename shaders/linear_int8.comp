#version 460
#extension GL_GOOGLE_include_directive : require

// Int8Linear where the device has no instruction for four products of bytes.
int dot4(uint a, uint b) {
    int sum = 0;
    for (int i = 0; i < 32; i += 8) sum += bitfieldExtract(int(a), i, 8) * bitfieldExtract(int(b), i, 8);
    return sum;
}

#include "linear_int8.glsl"
