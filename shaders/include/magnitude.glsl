#ifndef MAGNITUDE_GLSL
#define MAGNITUDE_GLSL
// The largest magnitude of a vector. Magnitudes compare like the integers with the same bits.
uint magnitude(uvec4 bits) {
    uvec4 m = bits & 0x7fffffffu;
    return max(max(m.x, m.y), max(m.z, m.w));
}
#endif
