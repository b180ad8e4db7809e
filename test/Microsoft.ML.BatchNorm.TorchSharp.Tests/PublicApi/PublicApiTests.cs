
namespace Microsoft.ML.BatchNorm.TorchSharp.Tests;

[TestClass]
public class PublicApiTests
{
    [TestMethod]
    public void The_engine_s_public_API_is_the_one_written_down() =>
        ApiFile.Check(typeof(TorchEngine).Assembly, "test/Microsoft.ML.BatchNorm.TorchSharp.Tests/PublicApi");
}
