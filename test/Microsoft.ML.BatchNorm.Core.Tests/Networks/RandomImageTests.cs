namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>The layers that flip and crop images in training.</summary>
[TestClass]
public class RandomImageTests
{
    const int Height = 5, Width = 6, Size = 2 * Height * Width, Rows = 400;

    static readonly float[] images = [.. Enumerable.Range(1, Rows * Size).Select(value => (float)value)];

    static Network Image => Network.Input(2, Height, Width);

    [TestMethod]
    public void About_half_of_the_images_are_mirrored_and_the_others_stay()
    {
        float[] y = Train(Image.RandomHorizontalFlip());
        int mirrored = 0;
        for (int row = 0; row < Rows; row++)
        {
            float[] x = images[(row * Size)..((row + 1) * Size)], actual = y[(row * Size)..((row + 1) * Size)];
            float[] mirror = [.. x.Chunk(Width).SelectMany(line => line.Reverse())];
            bool isMirrored = actual.SequenceEqual(mirror);
            Assert.IsTrue(isMirrored || actual.SequenceEqual(x));
            mirrored += isMirrored ? 1 : 0;
        }
        Assert.IsTrue(mirrored is > Rows * 2 / 5 and < Rows * 3 / 5, $"{mirrored}");
    }

    [TestMethod]
    public void A_probability_of_0_or_1_mirrors_none_or_all()
    {
        CollectionAssert.AreEqual(images, Train(Image.RandomHorizontalFlip(0)));
        CollectionAssert.AreEqual(
            images.Chunk(Width).SelectMany(line => line.Reverse()).ToArray(), Train(Image.RandomHorizontalFlip(1)));
    }

    [TestMethod]
    public void An_image_is_cut_anywhere_and_what_lies_outside_of_it_is_zero()
    {
        const int Padding = 2, Places = (2 * Padding + 1) * (2 * Padding + 1);
        float[] y = Train(Image.RandomCrop(Padding));
        int[] found = new int[Places];
        for (int row = 0; row < Rows; row++)
        {
            int place = Enumerable.Range(0, Places).Single(place => IsMoved(
                images.AsSpan(row * Size, Size), y.AsSpan(row * Size, Size), place / (2 * Padding + 1) - Padding,
                place % (2 * Padding + 1) - Padding));
            found[place]++;
        }
        // 16 on average, with a deviation of 4.
        Assert.IsTrue(found.Min() >= 3 && found.Max() <= 35, string.Join(' ', found));
    }

    [TestMethod]
    public void Each_step_and_each_layer_draws_anew_and_the_seed_repeats_it()
    {
        Network twice = Image.RandomHorizontalFlip().RandomCrop(2);
        float[][] first = Steps(twice, seed: 1), again = Steps(twice, seed: 1), other = Steps(twice, seed: 2);
        CollectionAssert.AreEqual(first[0], again[0]);
        CollectionAssert.AreEqual(first[1], again[1]);
        CollectionAssert.AreNotEqual(first[0], first[1]);
        CollectionAssert.AreNotEqual(first[0], other[0]);
        // Two layers that moved every image alike would move it by even numbers only.
        float[] moved = Train(Image.RandomCrop(2).RandomCrop(2));
        Assert.IsTrue(Enumerable.Range(0, Rows).Any(row => Enumerable.Range(0, 81).Any(place =>
            place % 9 % 2 != 0 && IsMoved(
                images.AsSpan(row * Size, Size), moved.AsSpan(row * Size, Size), place / 9 - 4, place % 9 - 4))));
    }

    [TestMethod]
    public void In_inference_nothing_changes()
    {
        Network network = Image.RandomHorizontalFlip(1).RandomCrop(2);
        CollectionAssert.AreEqual(images, new NetworkModel(network, network.Initialize()).Predict(images));
        CollectionAssert.AreEqual(
            images, network.Forward(network.Initialize(), images, training: false).Outputs);
    }

    [TestMethod]
    public void The_gradient_comes_back_from_where_a_pixel_went()
    {
        // Mean and weights of one pixel: the loss's gradient by a kernel in front is the moved image of the kernel behind.
        Network network = Network.Input(1, 4, 5).Conv2D(1, 1, useBias: false, name: "front")
            .RandomHorizontalFlip(1).RandomCrop(1).Flatten().Dense(1, useBias: false, name: "behind");
        NetworkState state = network.Initialize(3);
        float[] x = [.. Enumerable.Range(0, 20).Select(i => (float)Math.Sin(i + 1))];
        var data = new TrainingData(1, x, new float[] { 1 });
        double LossAt(float weight, out float gradient)
        {
            NetworkState at = state.With("front", new LayerState([weight]));
            var options = new TrainingOptions
            {
                Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd(1), Seed = 5, BatchSize = 1, Epochs = 1,
            };
            using ITrainingSession session = new CpuEngine(1).Start(network, at, options, data);
            session.TrainOnBatch([0], 1);
            double[] losses = new double[1];
            session.ReadLosses(losses);
            gradient = weight - session.GetState()["front"].Kernel[0];
            return losses[0];
        }
        const float Step = 0.01f;
        double slope = (LossAt(0.7f + Step, out _) - LossAt(0.7f - Step, out _)) / (2 * Step);
        LossAt(0.7f, out float gradient);
        Assert.AreEqual(slope, gradient, 1e-4 * Math.Max(1, Math.Abs(slope)));
        Assert.AreNotEqual(0, gradient);
    }

    [TestMethod]
    public void The_layers_take_images_that_are_larger_than_the_padding()
    {
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => Network.Input(6).RandomHorizontalFlip()).Message,
            "channels, height and width");
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => Image.RandomCrop(5)).Message,
            "with more than 5 rows and columns");
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Image.RandomCrop(0));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Image.RandomHorizontalFlip(1.5));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Image.RandomHorizontalFlip(double.NaN));
    }

    static float[] Train(Network network) => network.Forward(network.Initialize(), images, training: true).Outputs;

    /// <summary>What an image becomes in the first and the second step.</summary>
    static float[][] Steps(Network network, int seed)
    {
        // The gradient of the kernel is the image, since the loss is a distance to a far target.
        Network all = network.Flatten().Dense(1, useBias: false);
        NetworkState state = all.Initialize().With("dense", new LayerState(new float[Size]));
        var options = new TrainingOptions { Loss = Loss.MeanAbsoluteError, Optimizer = Optimizer.Sgd(1), Seed = seed };
        using ITrainingSession session = new CpuEngine(1).Start(
            all, state, options, new TrainingData(1, images.AsMemory(0, Size), new float[] { 1e6f }));
        session.TrainOnBatch([0], 1);
        float[] first = session.GetState()["dense"].Kernel.ToArray();
        session.TrainOnBatch([0], 1);
        float[] second = [.. session.GetState()["dense"].Kernel.ToArray().Zip(first, (both, one) => both - one)];
        return [first, second];
    }

    static bool IsMoved(ReadOnlySpan<float> x, ReadOnlySpan<float> y, int rows, int columns)
    {
        for (int i = 0; i < Size; i++)
        {
            int line = i / Width % Height + rows, column = i % Width + columns;
            bool isInside = line >= 0 && line < Height && column >= 0 && column < Width;
            if (y[i] != (isInside ? x[i + rows * Width + columns] : 0))
                return false;
        }
        return true;
    }
}
