// The activation after a product and its bias: x if x >= 0, else slope * x. A slope below 0 stands for SELU.
float activate_head(float slope, float x) {
    precise float y = x < 0.0 ? x * slope : x;
    if (slope < 0.0) y = 1.05070098735548049 * (x < 0.0 ? 1.67326324235437728 * (exact_exp(x) - 1.0) : x);
    return y;
}
