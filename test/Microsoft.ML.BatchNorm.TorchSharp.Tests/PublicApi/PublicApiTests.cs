
namespace Microsoft.ML.BatchNorm.TorchSharp.Tests;

[TestClass]
public class PublicApiTests
{
    [TestMethod]
    public void The_engine_s_public_API_is_the_one_written_down() =>
        ApiFile.Check(typeof(TorchEngine).Assembly, "test/Microsoft.ML.BatchNorm.TorchSharp.Tests/PublicApi");

    [TestMethod]
    public void What_gives_another_value_is_marked_as_pure() => PureMethods.Check(typeof(TorchEngine).Assembly);
}
