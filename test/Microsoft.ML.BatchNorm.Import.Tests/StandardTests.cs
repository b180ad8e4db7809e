namespace Microsoft.ML.BatchNorm.Import.Tests;

/// <summary>ONNX's own tests of its operators, with the outputs that are stored with them.</summary>
[TestClass]
public class StandardTests
{
    const string Folder = "/usr/share/libonnx-testdata/data";

    public TestContext TestContext { get; set; } = null!;

    /// <remarks>
    /// PyTorch's are of version 6 of the operators. They are taken as of version 7, which only changed how shapes of
    /// sums and products may differ.
    /// </remarks>
    [TestMethod]
    [DataRow("node", 83)]
    [DataRow("pytorch-converted", 28)]
    public void What_is_imported_of_ONNX_s_tests_gives_the_outputs_that_are_stored_with_them(string kind, int least)
    {
        if (!Directory.Exists(Folder))
            Assert.Inconclusive("ONNX's own tests are not installed: apt-get install libonnx-testdata");
        int accepted = 0, refused = 0;
        foreach (string test in Directory.EnumerateDirectories(Path.Combine(Folder, kind)).Order())
        {
            string data = Path.Combine(test, "test_data_set_0");
            // A network predicts, and these train.
            if (test.Contains("training") || !File.Exists(Path.Combine(data, "input_0.pb")))
                continue;
            try
            {
                accepted += Agrees(Path.Combine(test, "model.onnx"), data) ? 1 : 0;
            }
            catch (Exception error) when (error is NotSupportedException or InvalidDataException)
            {
                refused++;
                TestContext.WriteLine($"{Path.GetFileName(test)}: {error.Message}");
            }
        }
        TestContext.WriteLine($"{accepted} are imported, {refused} refused.");
        Assert.IsGreaterThanOrEqualTo(least, accepted);
    }

    /// <summary>
    /// Imports a model, with its further inputs as constants, and compares the outputs. False if the first input is no
    /// batch of floats in rows of one to three dimensions, or the output has other numbers than floats.
    /// </summary>
    static bool Agrees(string path, string data)
    {
        byte[] file = File.ReadAllBytes(path);
        OnnxModel model = OnnxReader.Read(file);
        OnnxInput[] inputs = [.. model.Inputs.Where(input => !model.Initializers.ContainsKey(input.Name))];
        if (inputs is not [{ Type: OnnxType.Float, Dimensions.Count: >= 2 and <= 4 }, ..])
            return false;
        OnnxTensor rows = Tensor("input_0"), output = Tensor("output_0");
        if (output.Type != OnnxType.Float)
            return false;
        var constants = new Dictionary<string, OnnxTensor>(model.Initializers);
        for (int i = 1; i < inputs.Length; i++)
            constants[inputs[i].Name] = Tensor($"input_{i}");
        var notes = new List<string>();
        SavedNetwork saved = GraphImport.Run(
            model with { OpSet = Math.Max(model.OpSet!.Value, GraphImport.OldestOpSet), Initializers = constants },
            file.Length, inputShape: null, until: model.Outputs[0], notes.Add);
        string? softmax = notes.FirstOrDefault(note => note.Contains("oftmax"))?.Split(' ')[0];
        Reference.AssertClose(
            output.ToFloats(), saved, rows.ToFloats(), $"{path} {string.Join(' ', notes)}",
            values => softmax is null
                ? values
                : Reference.Softmax(values, saved.Network.OutputShape.Size, softmax == "LogSoftmax"));
        return true;

        OnnxTensor Tensor(string name)
        {
            byte[] tensor = File.ReadAllBytes(Path.Combine(data, $"{name}.pb"));
            return OnnxReader.Read(new OnnxFile().Initializer(tensor).ToBytes()).Initializers.Values.Single();
        }
    }
}
