namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>Weights of rows and classes, and clipping, in a session of the CPU engine.</summary>
[TestClass]
public sealed class WeightTests
{
    [TestMethod]
    public void A_weight_of_two_counts_as_the_row_twice_and_of_zero_as_none()
    {
        Network network = Network.Input(4).Dense(8).Tanh().Dense(3);
        var once = new Lesson(network, rows: 6);
        int[] twice = [0, 1, 1, 3, 4, 4];
        float[] weights = [1, 2, 0, 1, 2, 0];
        var weighted = new TrainingData(6, once.Features, once.Targets, weights);
        using ITrainingSession byWeight = new CpuEngine().Start(network, once.State, once.Options, weighted);
        using ITrainingSession byRow = once.Start();
        double[] losses = new double[2];
        byWeight.TrainOnBatch(once.AllRows, 0.01);
        byRow.TrainOnBatch(twice, 0.01);
        byWeight.ReadLosses(losses);
        byRow.ReadLosses(losses.AsSpan(1));
        Assert.AreEqual(losses[1], losses[0], 1e-6);
    }

    [TestMethod]
    public void Rows_that_all_weigh_nothing_change_nothing()
    {
        Network network = Network.Input(4).Dense(8).Tanh().Dense(3);
        var lesson = new Lesson(network, new TrainingOptions { Optimizer = Optimizer.Sgd(0.1) }, rows: 6);
        var weightless = new TrainingData(6, lesson.Features, lesson.Targets, new float[6]);
        using ITrainingSession session = new CpuEngine().Start(network, lesson.State, lesson.Options, weightless);
        session.TrainOnBatch(lesson.AllRows, 0.1);
        Assert.AreEqual(lesson.State, session.GetState());
    }

    [TestMethod]
    public void Class_weights_multiply_the_weights_of_rows()
    {
        var options = new TrainingOptions { ClassWeights = [2, 0.5, 3] };
        var weighted = new Lesson(Network.Input(4).Dense(3), options, rows: 20, weighted: true);
        float[] products = [.. weighted.Weights.Zip(
            weighted.Targets, (weight, target) => weight * (float)options.ClassWeights[(int)target])];
        CheckSameStep(weighted, products);

        options = new TrainingOptions { Loss = Loss.BinaryCrossEntropy, ClassWeights = [0.25, 4] };
        var binary = new Lesson(Network.Input(4).Dense(1), options, rows: 20);
        CheckSameStep(binary, [.. binary.Targets.Select(target => target < 0.5f ? 0.25f : 4)]);
    }

    static void CheckSameStep(Lesson lesson, float[] weights)
    {
        var data = new TrainingData(20, lesson.Features, lesson.Targets, weights);
        using ITrainingSession other = new CpuEngine().Start(
            lesson.Network, lesson.State, lesson.Options with { ClassWeights = [] }, data);
        other.TrainOnBatch(lesson.AllRows, 0.001);
        using ITrainingSession session = lesson.Start();
        session.TrainOnBatch(lesson.AllRows, 0.001);
        Assert.AreEqual(other.GetState(), session.GetState());
    }

    [TestMethod]
    public void Class_weights_that_do_not_fit_the_loss_are_refused()
    {
        foreach ((Loss loss, int outputs, double[] weights) in new (Loss, int, double[])[]
        {
            (Loss.SoftmaxCrossEntropy, 3, [1, 2]), (Loss.BinaryCrossEntropy, 2, [1, 2]),
            (Loss.BinaryCrossEntropy, 1, [1, 2, 3]), (Loss.MeanSquaredError, 1, [1]),
        })
        {
            var lesson = new Lesson(
                Network.Input(4).Dense(outputs), new TrainingOptions { Loss = loss, ClassWeights = [.. weights] });
            Assert.ThrowsExactly<ArgumentException>(() => lesson.Start());
        }
    }

    [TestMethod]
    public void Clipping_scales_all_gradients_to_the_norm_and_leaves_shorter_ones()
    {
        var lesson = new Lesson(Network.Input(20).Dense(50).BatchNormalization().ReLU().Dense(5), rows: 70);
        Dictionary<string, double[]> gradients = lesson.Gradients().Gradients;
        double norm = Math.Sqrt(gradients.Values.Sum(gradient => gradient.Sum(value => value * value)));
        var clipped = new Lesson(lesson.Network, new TrainingOptions { GradientClipNorm = norm / 3 }, rows: 70);
        foreach ((string name, double[] gradient) in clipped.Gradients().Gradients)
            Agreement.Within(1e-6, [.. gradients[name].Select(value => value / 3)], gradient, name);
        var loose = new Lesson(lesson.Network, new TrainingOptions { GradientClipNorm = norm * 1.01 }, rows: 70);
        Assert.AreEqual(lesson.Gradients().After, loose.Gradients().After);
    }
}
