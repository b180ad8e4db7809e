namespace Microsoft.ML.BatchNorm.Tests.Drift;

/// <summary>The p-values, against sums of 80 decimal digits.</summary>
[TestClass]
public sealed class StudentTTests
{
    [TestMethod]
    [DataRow(0.5, 1, 7.04832764699133452E-1)]
    [DataRow(12.7, 1, 5.00243276893441573E-2)]
    [DataRow(1000, 1, 6.36619560161117878E-4)]
    [DataRow(0.001, 3, 9.99264894969460938E-1)]
    [DataRow(2, 3, 1.39325968558843177E-1)]
    [DataRow(2.5, 4.5, 5.99056865022005444E-2)]
    [DataRow(40, 2.5, 1.41956342904933829E-4)]
    [DataRow(10000, 5, 1.89803324575176128E-19)]
    [DataRow(2, 0.7, 3.69148151666522560E-1)]
    [DataRow(1.96, 30, 5.93423128960504720E-2)]
    [DataRow(8, 30, 6.26582247570075894E-9)]
    [DataRow(60, 30, 8.31130961353224869E-33)]
    [DataRow(3, 359, 2.88834543796482696E-3)]
    [DataRow(12, 359, 3.98789683367286793E-28)]
    [DataRow(38, 1795, 2.39326048955345499E-232)]
    [DataRow(0.3, 1795, 7.64211892252283979E-1)]
    [DataRow(4, 12345.5, 6.37118199837440036E-5)]
    [DataRow(37, 100000, 1.19746282434246601E-297)]
    [DataRow(5, 100000, 5.74270167864167285E-7)]
    [DataRow(1.5, 1e8, 1.33614405694707520E-1)]
    [DataRow(6, 1e9, 1.97317596449849189E-9)]
    [DataRow(0.1, double.PositiveInfinity, 9.20344325445942037E-1)]
    [DataRow(1, double.PositiveInfinity, 3.17310507862914103E-1)]
    [DataRow(1.959963984540054, double.PositiveInfinity, 5.00000000000000275E-2)]
    [DataRow(6, double.PositiveInfinity, 1.97317529007539628E-9)]
    [DataRow(20, double.PositiveInfinity, 5.50724823721246739E-89)]
    [DataRow(37.5, double.PositiveInfinity, 9.21070601916390969E-308)]
    public void A_p_value_is_right_to_a_relative_1e_12(double t, double degrees, double expected)
    {
        Assert.AreEqual(1, StudentT.TwoSided(t, degrees) / expected, 1e-12);
        Assert.AreEqual(StudentT.TwoSided(t, degrees), StudentT.TwoSided(-t, degrees));
    }

    [TestMethod]
    public void One_and_two_degrees_have_closed_forms()
    {
        for (double t = 1e-3; t < 1e3; t *= 1.7)
        {
            Assert.AreEqual(1, StudentT.TwoSided(t, 1) / (2 / Math.PI * Math.Atan(1 / t)), 1e-12, $"t = {t}");
            double root = Math.Sqrt(2 + t * t);
            Assert.AreEqual(1, StudentT.TwoSided(t, 2) / (2 / (root * (root + t))), 1e-12, $"t = {t}");
        }
    }

    [TestMethod]
    public void The_ends_are_exact_and_huge_numbers_do_not_overflow()
    {
        foreach (double degrees in (double[])[0.5, 1, 30, 1e12, double.PositiveInfinity])
        {
            Assert.AreEqual(1, StudentT.TwoSided(0, degrees));
            Assert.AreEqual(0, StudentT.TwoSided(double.NegativeInfinity, degrees));
            Assert.AreEqual(1, StudentT.TwoSided(1e-200, degrees), 1e-12);
            Assert.IsTrue(StudentT.TwoSided(double.MaxValue, degrees) < 1e-150);
        }
        Assert.AreEqual(0, StudentT.TwoSided(1e200, double.PositiveInfinity));
        Assert.AreEqual(0, StudentT.TwoSided(39, double.PositiveInfinity));
        Assert.AreEqual(1, StudentT.TwoSided(1e200, 1) / (2 / Math.PI * 1e-200), 1e-12);
    }

    [TestMethod]
    public void More_degrees_and_greater_statistics_give_smaller_p_values()
    {
        double[] degrees = [0.5, 1, 1.5, 3, 10, 79, 80, 81, 1e3, 1e5, 1e7, double.PositiveInfinity];
        for (double t = 1; t < 30; t *= 1.1)
        {
            for (int i = 1; i < degrees.Length; i++)
                Assert.IsTrue(
                    StudentT.TwoSided(t, degrees[i]) < StudentT.TwoSided(t, degrees[i - 1]), $"{t}, {degrees[i]}");
        }
    }
}
