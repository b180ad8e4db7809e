namespace Microsoft.ML.BatchNorm.Import.Tests;

[TestClass]
public class RandomGraphTests
{
    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    public void A_hundred_random_graphs_give_what_ONNX_Runtime_gives(int part)
    {
        for (int seed = 100 * part; seed < 100 * part + 100; seed++)
        {
            var graph = new RandomGraph(seed);
            byte[] file = graph.ToBytes();
            float[] rows = Sample.Floats(2 * graph.Shape.Aggregate(1, (size, next) => size * next), seed);
            float[] expected = Reference.Run(file, 2, rows, graph.Shape);
            Reference.AssertClose(expected, Reference.Load(file), rows, $"seed {seed}");
        }
    }
}
