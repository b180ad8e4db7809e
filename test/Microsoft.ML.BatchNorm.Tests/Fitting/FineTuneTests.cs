using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>A transformer goes on as it was fitted, unless it is told otherwise.</summary>
[TestClass]
public class FineTuneTests
{
    static readonly BatchNormalizationOptions Exponential = BatchNormalizationOptions.Keras with { Momentum = 0.9 };

    static readonly float[][] First = View.Floats(700, 4, seed: 1), Second = View.Floats(500, 4, seed: 2);

    [TestMethod]
    public void The_batch_size_and_the_epochs_are_those_of_the_fit()
    {
        BatchNormalizationTransformer fitted = Fitted(options => (options.BatchSize, options.Epochs) = (100, 2));
        BatchNormalizationState expected = Fits.Loop(
            Exponential, [.. Second, .. Second], Enumerable.Repeat(100, 10), from: fitted.GetState("Y"));
        foreach (BatchNormalizationTransformer tuned in Ways(fitted, Fits.Vectors(Second)))
            Assert.AreEqual(expected, tuned.GetState("Y"));
    }

    [TestMethod]
    public void The_shuffle_and_its_seed_are_those_of_the_fit()
    {
        void Shuffle(BatchNormalizationEstimator.Options options) =>
            (options.BatchSize, options.Shuffle, options.Seed) = (64, true, 9);
        IDataView second = View.ML.Data.Cache(Fits.Vectors(Second));
        BatchNormalizationTransformer fitted = Fitted(Shuffle);
        BatchNormalizationState expected = Estimator(Shuffle).Fit(second, fitted).GetState("Y");
        Assert.AreNotEqual(expected, Estimator(options => options.BatchSize = 64).Fit(second, fitted).GetState("Y"));
        foreach (BatchNormalizationTransformer tuned in Ways(fitted, second))
            Assert.AreEqual(expected, tuned.GetState("Y"));
    }

    [TestMethod]
    public void The_mask_is_that_of_the_fit()
    {
        BatchNormalizationTransformer fitted = Estimator(options => options.MaskColumnName = "Counts")
            .Fit(MaskedRow.View(First, i => i % 3 == 0));
        BatchNormalizationState expected = Fits.Estimator(Exponential).Fit(
            Fits.Vectors([.. Second.Where((_, i) => i % 2 == 0)]), fitted).GetState("Y");
        foreach (BatchNormalizationTransformer tuned in Ways(fitted, MaskedRow.View(Second, i => i % 2 == 0)))
            Assert.AreEqual(expected, tuned.GetState("Y"));
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => fitted.FineTune(Fits.Vectors(Second)));
        StringAssert.Contains(error.Message, "mask column 'Counts'");
        fitted.Freeze().FineTune(new UnreadableView(Fits.Vectors(Second)));
    }

    [TestMethod]
    public void A_process_that_loads_it_fine_tunes_to_the_same_bits()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("tune-");
        try
        {
            string model = Path.Combine(folder.FullName, "model.zip"), data = Path.Combine(folder.FullName, "in.idv");
            IDataView second = MaskedRow.View(Second, i => i % 5 != 0);
            BatchNormalizationTransformer fitted = Estimator(options =>
            {
                (options.BatchSize, options.Epochs, options.MaskColumnName) = (48, 2, "Counts");
                (options.Shuffle, options.Seed) = (true, 4);
            }).Fit(MaskedRow.View(First, i => i % 7 != 0));
            View.ML.Model.Save(fitted, second.Schema, model);
            using (FileStream file = File.Create(data))
                View.ML.Data.SaveAsBinary(second, file);
            BatchNormalizationTransformer expected = fitted.FineTune(View.ML.Data.LoadFromBinary(data));
            Assert.AreNotEqual(fitted.GetState("Y"), expected.GetState("Y"));
            Persistence.Model.AssertSame(
                expected,
                (BatchNormalizationTransformer)View.ML.Model.Load(
                    Persistence.FreshProcess.FineTune(model, data), out _));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [TestMethod]
    public void Other_options_replace_those_of_the_fit()
    {
        BatchNormalizationTransformer fitted = Fitted(options => options.BatchSize = 100);
        BatchNormalizationState expected =
            Fits.Loop(Exponential, Second, Enumerable.Repeat(50, 10), from: fitted.GetState("Y"));
        BatchNormalizationEstimator.Options other = new()
        {
            Columns = [new InputOutputColumnPair("Y", "X")],
            Layer = Exponential,
            BatchSize = 50,
        };
        BatchNormalizationEstimator estimator = View.ML.Transforms.BatchNormalization(fitted, other);
        BatchNormalizationTransformer tuned = estimator.Fit(Fits.Vectors(Second));
        Assert.AreEqual(expected, tuned.GetState("Y"));
        Assert.AreEqual(50, tuned.Settings.BatchSize);
        Assert.AreEqual(
            fitted.GetState("Y"), View.ML.Transforms.BatchNormalization(fitted.Freeze(), other)
                .Fit(new UnreadableView(Fits.Vectors(Second))).GetState("Y"));
        other.Columns = [new InputOutputColumnPair("Z", "X")];
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(
                () => View.ML.Transforms.BatchNormalization(fitted, other)).Message, "'Z'");
    }

    [TestMethod]
    public void Options_that_change_behind_an_estimator_do_not_change_it()
    {
        BatchNormalizationEstimator.Options options = new()
        {
            Columns = [new InputOutputColumnPair("Y", "X")],
            Layer = Exponential,
            BatchSize = 100,
        };
        BatchNormalizationEstimator estimator = View.ML.Transforms.BatchNormalization(options);
        (options.BatchSize, options.Epochs) = (0, 0);
        options.Columns[0] = new InputOutputColumnPair("Z", "X");
        Assert.AreEqual(
            Fits.Loop(Exponential, First, Enumerable.Repeat(100, 7)), estimator.Fit(Fits.Vectors(First)).GetState("Y"));
    }

    /// <summary>Fine-tuned, through an estimator, and loaded first.</summary>
    static BatchNormalizationTransformer[] Ways(BatchNormalizationTransformer fitted, IDataView data) =>
    [
        fitted.FineTune(data),
        View.ML.Transforms.BatchNormalization(fitted.Freeze(), trainable: true).Fit(data),
        ((BatchNormalizationTransformer)Persistence.Model.Reload(fitted, data.Schema)).FineTune(data),
    ];

    static BatchNormalizationTransformer Fitted(Action<BatchNormalizationEstimator.Options> change) =>
        Estimator(change).Fit(View.ML.Data.Cache(Fits.Vectors(First)));

    static BatchNormalizationEstimator Estimator(Action<BatchNormalizationEstimator.Options> change) =>
        Fits.Estimator(options =>
        {
            options.Layer = Exponential;
            change(options);
        });
}
