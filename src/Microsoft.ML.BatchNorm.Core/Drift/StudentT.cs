namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Two-sided p-values of Student's t, and of the normal distribution as that of infinitely many degrees.
/// </summary>
/// <remarks>
/// With w² = ν ln(1 + t²/ν), the density of t becomes <c>C e^(−w²/2) g(w²/ν)</c> with g(s) = √(s/(1 − e^−s)), which is
/// smooth and all but constant. What is left of the integral behind e^(−w²/2) is no small number, however far the tail,
/// and the double exponential rule (Takahasi, Mori, "Double Exponential Formulas for Numerical Integration", 1974)
/// gives it. One rule for all ν: an incomplete beta function's continued fraction takes √ν terms. The relative error is
/// below 1e-12, from p = 1 to the smallest normal number.
/// </remarks>
static class StudentT
{
    const double Step = 1.0 / 11, First = -3.8, Last = 3.9;

    /// <summary>From here on Γ(a + ½)/Γ(a) is its asymptotic series to full precision.</summary>
    const double LargeArgument = 40;

    /// <summary>Nodes and weights of the rule for ∫₀^∞ f(x) dx where f decays as e^−x.</summary>
    static readonly (double Node, double Weight)[] Rule = MakeRule();

    /// <summary>P(|T| ≥ |t|).</summary>
    /// <param name="t">The statistic; infinite for 0.</param>
    /// <param name="degrees">
    /// The degrees of freedom, over 0 and no whole number of need; infinite for the normal.
    /// </param>
    public static double TwoSided(double t, double degrees)
    {
        t = Math.Abs(t);
        if (t == 0 || double.IsInfinity(t))
            return t == 0 ? 1 : 0;
        double square = double.IsInfinity(degrees) ? t * t : degrees * LogOnePlusSquare(t / Math.Sqrt(degrees));
        double w = Math.Sqrt(square), scale = 1 / Math.Max(w, 1), sum = 0;
        foreach ((double node, double weight) in Rule)
        {
            double x = node * scale, decay = x * (w + x / 2);
            sum += weight * Math.Exp(-decay) * Spread((w + x) * (w + x) / degrees);
        }
        return Math.Min(1, 2 * Constant(degrees) * Math.Exp(-square / 2) * sum * scale);
    }

    static (double Node, double Weight)[] MakeRule()
    {
        var rule = new (double, double)[(int)((Last - First) / Step) + 1];
        for (int i = 0; i < rule.Length; i++)
        {
            double y = First + i * Step, x = Math.Exp(y - Math.Exp(-y));
            rule[i] = (x, Step * x * (1 + Math.Exp(-y)));
        }
        return rule;
    }

    /// <summary>ln(1 + x²), to full precision for small x and without overflow for large ones.</summary>
    static double LogOnePlusSquare(double x)
    {
        if (x > 1e100)
            return 2 * Math.Log(x);
        double square = x * x, sum = 1 + square;
        return sum == 1 ? square : Math.Log(sum) * (square / (sum - 1));
    }

    /// <summary>g(s) = √(s/(1 − e^−s)); for small s by Bernoulli's numbers.</summary>
    static double Spread(double s)
    {
        if (s > 0.25)
            return Math.Sqrt(s / (1 - Math.Exp(-s)));
        double q = s * s;
        return Math.Sqrt(
            1 + s / 2
            + q * (1.0 / 12 - q * (1.0 / 720 - q * (1.0 / 30240 - q * (1.0 / 1209600 - q / 47900160)))));
    }

    /// <summary>Γ((ν + 1)/2)/(√(νπ) Γ(ν/2)); 1/√2π for the normal.</summary>
    static double Constant(double degrees)
    {
        double a = degrees / 2, product = 1;
        if (double.IsInfinity(a))
            return 1 / Math.Sqrt(2 * Math.PI);
        for (; a < LargeArgument; a++)
            product *= a / (a + 0.5);
        double r = 1 / a;
        double series = 1 - r * (1.0 / 8 - r * (1.0 / 128 + r * (5.0 / 1024 - r * (21.0 / 32768 + r * (
            399.0 / 262144 - r * (869.0 / 4194304 + r * (39325.0 / 33554432)))))));
        return product * Math.Sqrt(a) * series / Math.Sqrt(degrees * Math.PI);
    }
}
