namespace Microsoft.ML.BatchNorm.Tests.PublicApi;

[TestClass]
public class PublicApiTests
{
    [TestMethod]
    public void The_core_s_public_API_is_the_one_written_down() =>
        ApiFile.Check(typeof(BatchNormalization).Assembly, "test/Microsoft.ML.BatchNorm.Core.Tests/PublicApi");

    [TestMethod]
    public void What_gives_another_value_is_marked_as_pure() => PureMethods.Check(
        typeof(BatchNormalization).Assembly, "Network.Freeze", "Network.Unfreeze", "NetworkState.With",
        "BatchNormalizationState.WithAffine", "NetworkTrainer.RecomputeStatistics");

    [TestMethod]
    public void A_difference_names_the_type_of_each_line_that_is_gone_or_new() => Assert.AreEqual(
        """
        - class A: int Count { get; }
        + class A: long Count { get; }
        + class B
        """,
        ApiFile.Difference(
            ["class A", "    A()", "    int Count { get; }"],
            ["class A", "    A()", "    long Count { get; }", "", "class B"]));

    [TestMethod]
    public void A_member_is_written_with_its_modifiers_nullability_and_default_values()
    {
        string[] members = [.. PublicMembers.Of(typeof(Example))];
        CollectionAssert.AreEqual(
            new[]
            {
                "const float Half = 0.5F", "protected Example(string? name = null)",
                "string this[int index] { get; }", "required List<string?> Names { get; init; }",
                "int Number { get; protected set; }", "override string ToString()",
                "static bool Try<TOther>(in int number, out TOther found, params string?[] others)"
                    + " where TOther : class, new()",
                "protected virtual (int, string?) Value(DayOfWeek day = DayOfWeek.Friday, float? rate = 0.1F)",
            },
            members, string.Join('\n', members));
    }

    [TestMethod]
    public void An_option_is_written_with_its_default() => CollectionAssert.AreEqual(
        new[]
        {
            "Options()", "DayOfWeek Day { get; set; } = DayOfWeek.Friday", "List<int> Others { get; }",
            "double Rate { get; init; } = 0.5",
        },
        PublicMembers.Of(typeof(Options)).ToArray());

    public sealed class Options
    {
        public double Rate { get; init; } = 0.5;

        public DayOfWeek Day { get; set; } = DayOfWeek.Friday;

        public List<int> Others { get; } = [];
    }

    public class Example
    {
        public const float Half = 0.5f;

        protected Example(string? name = null) => Names = [name];

        internal Example(int number) => (Number, Names) = (number, []);

        public required List<string?> Names { get; init; }

        public int Number { get; protected set; }

        public string this[int index] => Names[index] ?? "";

        public static bool Try<TOther>(in int number, out TOther found, params string?[] others)
            where TOther : class, new()
        {
            found = new TOther();
            return number == others.Length;
        }

        public override string ToString() => $"{Number}";

        protected virtual (int, string?) Value(DayOfWeek day = DayOfWeek.Friday, float? rate = 0.1f) =>
            ((int)day + (int)rate!, null);
    }
}
