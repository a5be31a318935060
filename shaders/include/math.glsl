// exp and tanh with the same bits in every kernel of a device. Vulkan allows exp an error of 3 + 2|x| ULP, and defines tanh only through exp,
// overflow included. All of it is precise: Mesa's compilers took n·ln 2 in one part instead of two, and regrouped the polynomial, where the
// driver liked (RADV of Mesa 25.0).

// e^x to about 1 ULP; 0 below the normal range, +infinity above the finite one, exactly 1 at 0.
float exact_exp(float x) {
    const float LOG2E = 1.44269504088896341;
    float y = clamp(x, -87.3, 88.7);
    float n = floor(fma(y, LOG2E, 0.5));
    // Cody-Waite: n·ln 2 in two parts, the first exact for all n here.
    precise float r = fma(n, -0.693359375, y);
    r = fma(n, 2.12194440e-4, r);
    precise float p = 1.9875691500e-4;
    p = fma(p, r, 1.3981999507e-3);
    p = fma(p, r, 8.3334519073e-3);
    p = fma(p, r, 4.1665795894e-2);
    p = fma(p, r, 1.6666665459e-1);
    p = fma(p, r, 5.0000001201e-1);
    p = fma(p, r * r, r) + 1.0;
    // 2^n in two factors: n reaches 128, which one float exponent cannot hold.
    int half_n = int(n) / 2;
    precise float scaled = p * intBitsToFloat((half_n + 127) << 23) * intBitsToFloat((int(n) - half_n + 127) << 23);
    return x < -87.3 ? 0.0 : (x > 88.7 ? uintBitsToFloat(0x7f800000u) : scaled);
}

// tanh to an absolute error of about 1e-7; never overflows.
float exact_tanh(float x) {
    float e = exact_exp(-2.0 * abs(x));
    precise float t = (1.0 - e) / (1.0 + e);
    return x < 0.0 ? -t : t;
}

// The activation of a gate: silu(x) = x / (1 + e^(−x)), or gelu's tanh form x/2·(1 + tanh u) = x / (1 + e^(−2u)), which takes one exp and
// does not cancel where tanh u approaches −1. The exponent is capped where the result is zero for every finite x, to keep the division
// within the range in which Vulkan specifies its accuracy.
float activate(uint silu, float x) {
    const float SQRT_2_OVER_PI = 0.797884560802865356;
    precise float u = SQRT_2_OVER_PI * fma(0.044715 * x * x, x, x);
    precise float y = x / (1.0 + exact_exp(min(silu != 0u ? -x : -2.0 * u, 80.0)));
    return y;
}
