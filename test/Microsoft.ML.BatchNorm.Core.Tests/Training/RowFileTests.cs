namespace Microsoft.ML.BatchNorm.Tests.Training;

[TestClass]
public class RowFileTests
{
    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("rows");

    [TestCleanup]
    public void Delete() => folder.Delete(recursive: true);

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Rows_come_back_in_any_order(bool isMixed)
    {
        const int Rows = 700, Width = 30_000;
        using var file = new RowFile(folder.FullName, Width, 2, hasWeights: true, isMixed);
        float[] row = new float[Width];
        for (int i = 0; i < Rows; i++)
        {
            row.AsSpan().Fill(i);
            file.Add(row, [i + 0.25f, i + 0.5f], i + 0.75f);
        }
        file.Complete();
        Assert.AreEqual(Rows, file.Rows);
        Assert.AreEqual(Rows * (Width + 3L) * sizeof(float), file.Length);
        var random = new Random(1);
        float[] features = new float[5 * Width], targets = new float[10], weights = new float[5];
        for (int batch = 0; batch < 200; batch++)
        {
            int[] numbers = [.. Enumerable.Range(0, 5).Select(_ => random.Next(Rows))];
            file.Read(numbers, features, targets, weights);
            for (int i = 0; i < 5; i++)
            {
                Assert.IsTrue(features.AsSpan(i * Width, Width).IndexOfAnyExcept(numbers[i]) < 0);
                Assert.AreEqual(numbers[i] + 0.25f, targets[2 * i]);
                Assert.AreEqual(numbers[i] + 0.5f, targets[2 * i + 1]);
                Assert.AreEqual(numbers[i] + 0.75f, weights[i]);
            }
        }
    }

    [TestMethod]
    public void Nothing_is_left_in_the_folder_not_even_by_a_process_that_is_killed()
    {
        var file = new RowFile(folder.FullName, 3, 1, hasWeights: false);
        // Windows keeps the name, and deletes the file when the last handle is closed, whoever closes it.
        Assert.HasCount(OperatingSystem.IsWindows() ? 1 : 0, folder.GetFiles());
        file.Add([1, 2, 3], [4]);
        file.Complete();
        file.Dispose();
        Assert.IsEmpty(folder.GetFiles());
    }

    [TestMethod]
    public void A_folder_that_is_not_there_is_an_error() =>
        Assert.ThrowsExactly<DirectoryNotFoundException>(
            () => new RowFile(Path.Combine(folder.FullName, "none"), 3, 1, hasWeights: false));
}
