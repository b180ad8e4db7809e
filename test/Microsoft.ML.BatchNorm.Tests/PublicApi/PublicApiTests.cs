using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.PublicApi;

[TestClass]
public class PublicApiTests
{
    [TestMethod]
    public void The_public_API_is_the_one_written_down() =>
        ApiFile.Check(
            typeof(BatchNormalizationTransformer).Assembly, "test/Microsoft.ML.BatchNorm.Tests/PublicApi");

    [TestMethod]
    public void What_gives_another_value_is_marked_as_pure() => PureMethods.Check(
        typeof(BatchNormalizationTransformer).Assembly, "BatchNormalizationTransformer.FineTune",
        "BatchNormalizationTransformer.Freeze", "BatchNormalizationTransformer.Unfreeze");
}
