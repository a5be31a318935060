using LdlVk.Runtime.Devices;

namespace LdlVk.SelfTest;

/// <summary>
/// The op set in double, straight from the formulas of <see cref="IDevice"/>: what every device is measured against. Each op gives
/// its value and the bound of an fp32 computation's error, element by element.
/// </summary>
public static class Reference64
{
    /// <summary>What underflow may cost: devices may flush subnormal numbers.</summary>
    private const double Tiny = 1e-36;

    /// <summary>Absolute error that a tanh may have.</summary>
    private const double TanhError = 4e-7;

    /// <summary><see cref="IDevice.Linear"/>; operandRounding is the relative error of rounding an operand, 0 for fp32.</summary>
    public static (double[] Values, double[] Bounds) Linear(
        Matrix x, TestWeight w, Matrix? bias, Activation activation, double operandRounding) =>
        Linear(x, w.OutputFeatures, (n, k) => w[n, k], bias, activation, operandRounding);

    /// <summary>The same with a weight given as a function of its row and column.</summary>
    public static (double[] Values, double[] Bounds) Linear(
        Matrix x, int outputs, Func<int, int, double> w, Matrix? bias, Activation activation, double operandRounding)
    {
        double[] values = new double[x.Rows * outputs], bounds = new double[x.Rows * outputs];
        for (int n = 0; n < outputs; n++)
        {
            double[] row = new double[x.Columns];
            for (int k = 0; k < row.Length; k++) row[k] = w(n, k);
            for (int m = 0; m < x.Rows; m++)
            {
                double sum = 0, magnitude = 0, squares = 0;
                for (int k = 0; k < row.Length; k++)
                {
                    double product = x[m, k] * row[k];
                    sum += product;
                    magnitude += Math.Abs(product);
                    squares += product * product;
                }
                double b = bias is null ? 0 : bias[0, n];
                sum += b;
                int i = (m * outputs) + n;
                values[i] = sum >= 0 ? sum : activation switch { Activation.LeakyRelu => 0.01f * sum, Activation.Relu => 0, _ => sum };
                // Roundings of the 2K operands are as good as independent: as ErrorBounds.Sum, with λ = 6.
                double rounding = operandRounding * Math.Min(2 * magnitude, 6 * Math.Sqrt(2 * squares));
                bounds[i] = (ErrorBounds.Sum(x.Columns) * magnitude) + rounding + (4 * ErrorBounds.U * (magnitude + Math.Abs(b))) + Tiny;
                if (activation != Activation.Selu) continue;
                // Its slope is at most λ·α. Vulkan's exp is exact to 3 + 2·|x| units of the last place, which is at most 6·u of 1.
                const double Lambda = 1.0507009873554804934, Alpha = 1.6732632423543772848;
                values[i] = Lambda * (sum >= 0 ? sum : Alpha * (Math.Exp(sum) - 1));
                bounds[i] = (Lambda * Alpha * (bounds[i] + (sum >= 0 ? 0 : 8 * ErrorBounds.U))) + (4 * ErrorBounds.U * Math.Abs(values[i]));
            }
        }
        return (values, bounds);
    }

    /// <summary><see cref="IDevice.RmsNorm"/>.</summary>
    public static (double[] Values, double[] Bounds) RmsNorm(Matrix x, Matrix w, float epsilon)
    {
        double[] values = new double[x.Data.Length], bounds = new double[x.Data.Length];
        for (int m = 0; m < x.Rows; m++)
        {
            double squares = 0;
            for (int n = 0; n < x.Columns; n++) squares += (double)x[m, n] * x[m, n];
            double factor = 1 / Math.Sqrt((squares / x.Columns) + epsilon);
            for (int n = 0; n < x.Columns; n++)
            {
                int i = (m * x.Columns) + n;
                values[i] = x[m, n] * factor * w[0, n];
                bounds[i] = (ErrorBounds.Sum(x.Columns) + (8 * ErrorBounds.U)) * Math.Abs(values[i]) + Tiny;
            }
        }
        return (values, bounds);
    }

    /// <summary><see cref="IDevice.NormAdd"/>.</summary>
    public static (double[] Values, double[] Bounds) NormAdd(Matrix residual, Matrix y, Matrix w, float epsilon)
    {
        (double[] values, double[] bounds) = RmsNorm(y, w, epsilon);
        for (int i = 0; i < values.Length; i++)
        {
            values[i] += residual.Data[i];
            bounds[i] += 2 * ErrorBounds.U * Math.Abs(values[i]);
        }
        return (values, bounds);
    }

    /// <summary><see cref="IDevice.Rope"/>.</summary>
    public static (double[] Values, double[] Bounds) Rope(Matrix x, int heads, int[] positions, Matrix table)
    {
        double[] values = new double[x.Data.Length], bounds = new double[x.Data.Length];
        int dimension = x.Columns / heads, half = dimension / 2;
        for (int m = 0; m < x.Rows; m++)
            for (int h = 0; h < heads; h++)
                for (int d = 0; d < half; d++)
                {
                    int first = (h * dimension) + d, second = first + half;
                    double a = x[m, first], b = x[m, second];
                    double cos = table[positions[m], d], sin = table[positions[m], d + half];
                    Set(first, a * cos, -b * sin);
                    Set(second, b * cos, a * sin);

                    void Set(int column, double p, double q)
                    {
                        values[(m * x.Columns) + column] = p + q;
                        bounds[(m * x.Columns) + column] = (3 * ErrorBounds.U * (Math.Abs(p) + Math.Abs(q))) + Tiny;
                    }
                }
        return (values, bounds);
    }

    /// <summary><see cref="IDevice.Add"/>.</summary>
    public static (double[] Values, double[] Bounds) Add(Matrix residual, Matrix y)
    {
        double[] values = [.. residual.Data.Zip(y.Data, (a, b) => (double)a + b)];
        return (values, [.. values.Select(v => (2 * ErrorBounds.U * Math.Abs(v)) + Tiny)]);
    }

    /// <summary>
    /// <see cref="IDevice.AddNorm"/>: the residual, and the output. The norm multiplies an error of the sum as it does the sum; errors of
    /// all the row's sums change its factor, by at most their mean square.
    /// </summary>
    public static ((double[] Values, double[] Bounds) Residual, (double[] Values, double[] Bounds) Output) AddNorm(
        Matrix residual, Matrix y, Matrix? yWeight, Matrix w, float epsilon)
    {
        (double[] sums, double[] errors) = yWeight is null ? Add(residual, y) : NormAdd(residual, y, yWeight, epsilon);
        double[] values = new double[sums.Length], bounds = new double[sums.Length];
        for (int m = 0; m < y.Rows; m++)
        {
            Range row = (m * y.Columns)..((m + 1) * y.Columns);
            double squares = sums[row].Sum(v => v * v), errorSquares = errors[row].Sum(e => e * e);
            double factor = 1 / Math.Sqrt((squares / y.Columns) + epsilon);
            double relative = Math.Sqrt(errorSquares / (squares + (epsilon * (double)y.Columns)));
            for (int n = 0; n < y.Columns; n++)
            {
                int i = (m * y.Columns) + n;
                values[i] = sums[i] * factor * w[0, n];
                bounds[i] = ((ErrorBounds.Sum(y.Columns) + (8 * ErrorBounds.U) + (2 * relative)) * Math.Abs(values[i]))
                    + (2 * errors[i] * factor * Math.Abs(w[0, n])) + Tiny;
            }
        }
        return ((sums, errors), (values, bounds));
    }

    /// <summary><see cref="IDevice.HeadNorm"/>.</summary>
    public static (double[] Values, double[] Bounds) HeadNorm(Matrix x, int heads, Matrix w, float epsilon)
    {
        double[] values = new double[x.Data.Length], bounds = new double[x.Data.Length];
        int dimension = w.Columns;
        for (int m = 0; m < x.Rows; m++)
        {
            for (int h = 0; h < heads; h++)
            {
                Matrix head = new(1, dimension);
                x.Row(m).Slice(h * dimension, dimension).CopyTo(head.Row(0));
                (double[] normed, double[] bound) = RmsNorm(head, w, epsilon);
                int first = (m * x.Columns) + (h * dimension);
                normed.CopyTo(values, first);
                bound.CopyTo(bounds, first);
            }
        }

        return (values, bounds);
    }

    /// <summary>The argument of tanh in x/2·(1 + tanh u), as which both activations can be written.</summary>
    private static double Argument(double x, GateActivation activation) =>
        activation == GateActivation.Silu ? x / 2 : Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x));

    /// <summary><see cref="IDevice.GateMultiply"/>.</summary>
    public static (double[] Values, double[] Bounds) GateMultiply(Matrix gate, Matrix up, GateActivation activation)
    {
        double[] values = new double[gate.Data.Length], bounds = new double[gate.Data.Length];
        for (int i = 0; i < values.Length; i++)
        {
            double x = gate.Data[i], u = Argument(x, activation);
            values[i] = x / 2 * (1 + Math.Tanh(u)) * up.Data[i];
            // tanh has an absolute error; its argument's relative error of some roundings is damped by tanh' = 1 − tanh².
            double slope = 1 - (Math.Tanh(u) * Math.Tanh(u));
            double tanh = TanhError + (Math.Abs(u) * slope * 8 * ErrorBounds.U);
            bounds[i] = (Math.Abs(x / 2 * up.Data[i]) * tanh) + (4 * ErrorBounds.U * Math.Abs(values[i])) + Tiny;
        }
        return (values, bounds);
    }

    /// <summary>
    /// GatedLinear: the errors of both products go through the activation, whose slope is at most 1.13 (silu: 1.1), and the multiplication.
    /// </summary>
    public static (double[] Values, double[] Bounds) GatedLinear(
        Matrix x, TestWeight gate, TestWeight up, GateActivation activation, double operandRounding)
    {
        (double[] g, double[] gateBounds) = Linear(x, gate, null, Activation.None, operandRounding);
        (double[] u, double[] upBounds) = Linear(x, up, null, Activation.None, operandRounding);
        double[] values = new double[g.Length], bounds = new double[g.Length];
        for (int i = 0; i < values.Length; i++)
        {
            double active = g[i] / 2 * (1 + Math.Tanh(Argument(g[i], activation)));
            values[i] = active * u[i];
            double activeBound = (1.13 * gateBounds[i]) + (Math.Abs(g[i]) * (TanhError + (16 * ErrorBounds.U)));
            bounds[i] = (activeBound * (Math.Abs(u[i]) + upBounds[i])) + (Math.Abs(active) * upBounds[i])
                + (4 * ErrorBounds.U * Math.Abs(values[i])) + Tiny;
        }
        return (values, bounds);
    }

    /// <summary>
    /// Attention. Rows of the output that belong to no segment are 0 with bound 0. Operand rounding is that of fp16: it also ends at
    /// 2⁻²⁴ of the largest.
    /// </summary>
    public static (double[] Values, double[] Bounds) Attention(
        Matrix queries, Matrix keys, Matrix values, IEnumerable<AttentionSegment> segments, AttentionShape shape, double operandRounding)
    {
        double[] output = new double[queries.Data.Length], bounds = new double[queries.Data.Length];
        int dimension = shape.HeadDimension, group = shape.Heads / shape.KeyValueHeads;
        foreach (AttentionSegment s in segments)
            for (int i = 0; i < s.QueryCount; i++)
                for (int h = 0; h < shape.Heads; h++)
                {
                    int at = h * dimension, kvAt = h / group * dimension;
                    int position = s.QueryPosition + i, first = shape.Window > 0 ? Math.Max(0, position - shape.Window + 1) : 0;
                    ReadOnlySpan<float> q = queries.Row(s.QueryRow + i).Slice(at, dimension);
                    double[] scores = new double[position - first + 1];
                    double error = 0;
                    for (int j = first; j <= position; j++)
                    {
                        ReadOnlySpan<float> k = keys.Row(KeyRow(s, j)).Slice(kvAt, dimension);
                        double dot = 0, magnitude = 0, squares = 0;
                        for (int d = 0; d < dimension; d++)
                        {
                            double product = (double)q[d] * k[d];
                            dot += product;
                            magnitude += Math.Abs(product);
                            squares += product * product;
                        }
                        double raw = dot * shape.Scale, rounding = operandRounding * Math.Min(2 * magnitude, 6 * Math.Sqrt(2 * squares));
                        double off = (((ErrorBounds.Sum(dimension) + (4 * ErrorBounds.U)) * magnitude) + rounding) * shape.Scale;
                        scores[j - first] = Cap(raw, shape.Softcap);
                        // The cap damps what went before it, and adds tanh's own error.
                        double capped = (Cap(raw + off, shape.Softcap) - Cap(raw - off, shape.Softcap)) / 2;
                        error = Math.Max(error, capped + (shape.Softcap * TanhError) + (2 * ErrorBounds.U * Math.Abs(scores[j - first])));
                    }

                    double max = scores.Max(), sum = scores.Sum(score => Math.Exp(score - max));
                    // Every probability is off by twice the scores' error (its own and the sum's), by exp's, and by the two sums'.
                    double relative = Math.Exp(2 * error) - 1 + (2 * ErrorBounds.Sum(scores.Length))
                        + ((16 + (2 * (max - scores.Min()))) * ErrorBounds.U) + (2 * operandRounding);
                    double largest = 0;
                    if (operandRounding > 0)
                        for (int j = first; j <= position; j++)
                            foreach (float v in values.Row(KeyRow(s, j)).Slice(kvAt, dimension)) largest = Math.Max(largest, Math.Abs(v));
                    double underflow = operandRounding / (1 << 13) * largest * scores.Length / sum;
                    for (int d = 0; d < dimension; d++)
                    {
                        double total = 0, magnitude = 0;
                        for (int j = first; j <= position; j++)
                        {
                            double term = Math.Exp(scores[j - first] - max) / sum * values[KeyRow(s, j), kvAt + d];
                            total += term;
                            magnitude += Math.Abs(term);
                        }
                        int o = ((s.QueryRow + i) * queries.Columns) + at + d;
                        output[o] = total;
                        bounds[o] = (relative * magnitude) + underflow + Tiny;
                    }
                }
        return (output, bounds);
    }

    /// <summary>score, distribution, weights, rewards of each row, as <see cref="IDevice.LdlReadout"/> lays them out.</summary>
    public static (double[] Values, double[] Bounds) LdlReadout(Matrix regression, Matrix gating, float temperature)
    {
        int attributes = gating.Columns, bins = regression.Columns / attributes, columns = 1 + bins + attributes + (attributes * bins);
        double[] values = new double[regression.Rows * columns], bounds = new double[regression.Rows * columns];
        for (int m = 0; m < regression.Rows; m++)
        {
            double[] rewards = new double[attributes * bins], relative = new double[attributes];
            for (int a = 0; a < attributes; a++)
                relative[a] = Softmax([.. regression.Row(m).Slice(a * bins, bins)], 1, rewards.AsSpan(a * bins, bins));
            double[] weights = [.. gating.Row(m).ToArray().Select(g => (double)g)];
            double weightError = temperature > 0 ? Softmax([.. gating.Row(m)], temperature, weights) : 0;

            int at = m * columns;
            for (int b = 0; b < bins; b++)
            {
                double sum = 0, error = 0;
                for (int a = 0; a < attributes; a++)
                {
                    double term = weights[a] * rewards[(a * bins) + b];
                    sum += term;
                    error += Math.Abs(term) * (relative[a] + weightError + ErrorBounds.Sum(attributes));
                }
                values[at + 1 + b] = sum;
                bounds[at + 1 + b] = error + Tiny;
                values[at] += sum * b / (bins - 1);
                // The score's own sum adds no more than the distribution's errors, which hold a ErrorBounds.Sum of longer sums.
                bounds[at] += 2 * bounds[at + 1 + b] * b / (bins - 1);
            }
            int weightsAt = at + 1 + bins, rewardsAt = weightsAt + attributes;
            for (int a = 0; a < attributes; a++)
                (values[weightsAt + a], bounds[weightsAt + a]) = (weights[a], (weightError * Math.Abs(weights[a])) + Tiny);
            for (int i = 0; i < rewards.Length; i++)
                (values[rewardsAt + i], bounds[rewardsAt + i]) = (rewards[i], (relative[i / bins] * rewards[i]) + Tiny);
        }
        return (values, bounds);
    }

    private static int KeyRow(AttentionSegment s, int position) =>
        position < s.PrefixLength ? s.PrefixRow + position : s.OwnRow + position - s.PrefixLength;

    private static double Cap(double score, double softcap) => softcap > 0 ? softcap * Math.Tanh(score / softcap) : score;

    /// <summary>Softmax of x/temperature; returns the relative error that fp32 may make.</summary>
    private static double Softmax(float[] x, double temperature, Span<double> result)
    {
        double max = x.Max() / temperature, sum = x.Sum(v => Math.Exp((v / temperature) - max));
        for (int i = 0; i < x.Length; i++) result[i] = Math.Exp((x[i] / temperature) - max) / sum;
        double range = max - (x.Min() / temperature);
        return ((16 + (6 * range)) * ErrorBounds.U) + ErrorBounds.Sum(x.Length);
    }
}
