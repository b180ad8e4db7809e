using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Fitting;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Pipelines;

/// <summary>A layer of another framework, read from its file, in a pipeline.</summary>
[TestClass]
public class SafetensorsTests
{
    static readonly float[][] Rows = View.Floats(300, 6);

    [TestMethod]
    [DataRow(TensorNaming.PyTorch)]
    [DataRow(TensorNaming.Keras)]
    public void Frozen_it_reads_no_data_and_normalizes_with_the_file_s_numbers(TensorNaming naming)
    {
        SavedBatchNormalization saved = Read(naming);
        BatchNormalizationState state = saved.State;
        BatchNormalizationTransformer frozen = View.ML.Transforms.BatchNormalization("Y", saved, trainable: false, "X")
            .Fit(new UnreadableView(Fits.Vectors(Rows)));
        Assert.AreEqual(state, frozen.GetState("Y"));
        const double epsilon = 1e-5;
        float[][] actual = frozen.Transform(Fits.Vectors(Rows)).Rows<float>("Y");
        for (int row = 0; row < Rows.Length; row++)
        {
            for (int c = 0; c < 6; c++)
            {
                double scale = state.Gamma[c] / Math.Sqrt(state.MovingVariance[c] + epsilon);
                Assert.AreEqual((Rows[row][c] - state.MovingMean[c]) * scale + state.Beta[c], actual[row][c], 1e-5);
            }
        }
    }

    [TestMethod]
    public void Trainable_it_goes_on_from_the_file_s_numbers()
    {
        SavedBatchNormalization saved = Read(TensorNaming.PyTorch);
        BatchNormalizationTransformer tuned = View.ML.Transforms.BatchNormalization("X", saved, trainable: true)
            .Fit(Fits.Vectors(Rows));
        Assert.AreEqual(
            Fits.Loop(BatchNormalizationOptions.PyTorch, Rows, [256, 44], from: saved.State), tuned.GetState("X"));
    }

    [TestMethod]
    public void A_layer_without_gamma_and_beta_takes_none()
    {
        using var file = new MemoryStream();
        new BatchNormalizationState([1, 2], [4, 9]).SaveSafetensors(file, new() { Scale = false, Center = false });
        file.Position = 0;
        BatchNormalizationTransformer frozen = View.ML.Transforms
            .BatchNormalization("X", BatchNormalizationState.LoadSafetensors(file), trainable: false)
            .Fit(new UnreadableView(Fits.Vectors([[0, 0]])));
        Assert.IsFalse(frozen.Columns[0].Options.Scale);
        Assert.IsFalse(frozen.Columns[0].Options.Center);
    }

    static SavedBatchNormalization Read(TensorNaming naming)
    {
        using var file = new MemoryStream();
        Sample.State(BatchNormalizationOptions.PyTorch, 6).SaveSafetensors(
            file, BatchNormalizationOptions.PyTorch, "bn1.", naming);
        file.Position = 0;
        return BatchNormalizationState.LoadSafetensors(file, "bn1.");
    }
}
