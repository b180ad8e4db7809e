namespace Microsoft.ML.BatchNorm.TorchSharp.Tests;

/// <summary>The CUDA device that tests of the category Gpu run on.</summary>
static class Gpu
{
    /// <summary>Ends the test as inconclusive where there is none, with the reason.</summary>
    public static void Need()
    {
        try
        {
            _ = new TorchEngine("cuda");
        }
        catch (InvalidOperationException error)
        {
            Assert.Inconclusive(error.Message);
        }
    }
}
