using Microsoft.ML.Data;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>What would train badly, or not at all, is said.</summary>
[TestClass]
public class DataWarningTests
{
    static Network Kernel => Network.Input(Blobs.Slots).Dense(16).ReLU();

    [TestMethod]
    public void Features_far_from_scale_one_before_a_kernel_are_a_warning_that_names_slot_and_layer()
    {
        string warning = Warning(Kernel.Dense(3)).Single();
        StringAssert.Contains(warning, "far from scale 1 (slot 2 has a root mean square of 102)");
        StringAssert.Contains(warning, "'dense'");
        StringAssert.Contains(warning, "BatchNormalization()");
    }

    [TestMethod]
    public void Behind_a_batch_normalization_they_are_none() => Assert.IsEmpty(Warning(
        Network.Input(Blobs.Slots).BatchNormalization().Dense(16).ReLU().Dense(3)));

    [TestMethod]
    public void Features_that_are_small_beside_epsilon_are_a_warning_that_names_slot_and_layer()
    {
        var context = new MLContext(1);
        List<string> warnings = Warnings.Of(context);
        float[] noise = Sample.Floats(200, 1);
        IDataView rows = context.Data.LoadFromEnumerable(noise.Select((x, i) => new Row
        {
            Features = [x, 1e-4f * noise[199 - i] + 0.25f, 3],
            Label = x,
        }).ToArray());
        context.Regression.Trainers.BatchNormNetwork(epochs: 1).Fit(rows);
        StringAssert.Contains(warnings.Single(), "1 of 3 features are small beside the ε of 'batch_normalization'");
        StringAssert.Contains(warnings.Single(), "slot 1");
        warnings.Clear();
        context.Transforms.BatchNormalization("Features")
            .Append(context.Regression.Trainers.BatchNormNetwork(epochs: 1)).Fit(rows);
        Assert.IsEmpty(warnings);
    }

    sealed class Row
    {
        [VectorType(3)]
        public float[] Features { get; set; } = [];

        public float Label { get; set; }
    }

    [TestMethod]
    public void An_activation_that_bounds_the_outputs_of_a_network_of_classes_is_a_warning()
    {
        Network network = Network.Input(Blobs.Slots).BatchNormalization();
        foreach ((Activation activation, string name) in new[]
            {
                (Activation.Sigmoid, "sigmoid"), (Activation.Tanh, "tanh"), (Activation.HardSigmoid, "hard_sigmoid"),
                (Activation.ReLU6, "relu6"), (Activation.ReLU, "re_lu"),
            })
        {
            StringAssert.Contains(
                Warning(network.Dense(3).Add(new ActivationLayer(activation))).Single(),
                $"ends in {activation} ('{name}')");
        }
        var context = new MLContext(1);
        List<string> warnings = Warnings.Of(context);
        Blobs.Binary(context, options => (options.NetworkFactory, options.Network) = (null, network.Dense(1).Sigmoid()))
            .Fit(Blobs.View(context));
        StringAssert.Contains(warnings.Single(), "leave the last layer out");
    }

    [TestMethod]
    [DataRow(Activation.SiLU)]
    [DataRow(Activation.HardSwish)]
    public void An_activation_without_an_upper_bound_is_none(Activation activation) => Assert.IsEmpty(Warning(
        Network.Input(Blobs.Slots).BatchNormalization().Dense(3).Add(new ActivationLayer(activation))));

    [TestMethod]
    public void A_plan_that_freezes_what_was_never_trained_is_an_error_that_names_phase_layer_and_remedy()
    {
        var context = new MLContext(1);
        foreach (Action<BatchNormNetworkMulticlassTrainer.Options> change in
            (Action<BatchNormNetworkMulticlassTrainer.Options>[])[
                _ => { },
                // What is known is the head alone, by its path.
                options => (options.NetworkFactory, options.Network, options.Pretrained) = (
                    null, Kernel.Dense(3, name: "head"),
                    Saved(Network.Input(16).Dense(3, name: "head"))),
            ])
        {
            var error = Assert.Throws<ArgumentException>(() => Blobs.Multiclass(context, options =>
            {
                options.FineTune = FineTune.HeadThenAll(1, 1, 1e-2, 1e-3);
                change(options);
            }).Fit(Blobs.View(context)));
            StringAssert.Contains(error.Message, "phase 'head' freezes ");
            StringAssert.Contains(error.Message, "Set Pretrained");
        }
    }

    [TestMethod]
    public void A_plan_goes_on_from_a_model_or_a_pretrained_network()
    {
        var context = new MLContext(1);
        var first = Blobs.Multiclass(context, options => options.Epochs = 1).Fit(Blobs.View(context));
        FineTuningPlan plan = FineTune.HeadThenAll(1, 1, 1e-2, 1e-3);
        Blobs.Multiclass(context, options => options.FineTune = plan).Fit(Blobs.View(context), first);
        Blobs.Multiclass(context, options =>
        {
            options.FineTune = plan;
            options.NetworkFactory = null;
            options.Pretrained = new SavedNetwork(first.Model.Network, first.Model.State);
        }).Fit(Blobs.View(context));
    }

    static SavedNetwork Saved(Network network) => new(network, network.Initialize(1));

    static List<string> Warning(Network network)
    {
        var context = new MLContext(1);
        List<string> warnings = Warnings.Of(context);
        Blobs.Multiclass(context, options =>
            (options.NetworkFactory, options.Network, options.Epochs) = (null, network, 1)).Fit(Blobs.View(context));
        return warnings;
    }
}
