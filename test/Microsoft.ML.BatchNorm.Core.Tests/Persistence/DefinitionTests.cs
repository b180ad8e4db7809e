using System.Text;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class DefinitionTests
{
    [TestMethod]
    public void Options_come_back_equal()
    {
        foreach (BatchNormalizationOptions options in (BatchNormalizationOptions[])
            [
                BatchNormalizationOptions.Keras, BatchNormalizationOptions.PyTorch, StoredOptions.Unusual,
                StoredOptions.Bare,
                new(), new() { MovingStatistics = MovingStatistics.Cumulative, TrackMovingStatistics = false },
                new() { Renorm = new() },
                new() { GammaConstraint = Constraint.UnitNorm, BetaConstraint = Constraint.MaxNorm(3) },
                new() { GammaRegularizer = Regularizer.L1(0.5) },
            ])
        {
            Assert.AreEqual(options, Again(options));
        }
    }

    [TestMethod]
    public void Every_public_option_is_stored()
    {
        foreach (var property in typeof(BatchNormalizationOptions).GetProperties().Where(p => p.CanWrite))
        {
            object? unusual = property.GetValue(StoredOptions.Unusual), bare = property.GetValue(StoredOptions.Bare);
            object? usual = property.GetValue(BatchNormalizationOptions.Keras);
            Assert.IsTrue(
                !Equals(unusual, usual) || !Equals(bare, usual) || property.Name == "TrackMovingStatistics",
                $"no test stores a {property.Name} that is not its default");
        }
    }

    [TestMethod]
    public void Doubles_come_back_to_the_last_bit()
    {
        var random = new Random(2);
        for (int i = 0; i < 100_000; i++)
        {
            double value = Math.Abs(BitConverter.Int64BitsToDouble(random.NextInt64()));
            if (double.IsFinite(value))
                Assert.AreEqual(value, Again(new() { Epsilon = value }).Epsilon);
        }
        Assert.IsTrue(double.IsNegative(
            ((Initializer.ConstantInitializer)Again(new() { BetaInitializer = Initializer.Constant(-0.0) })
                .BetaInitializer).Value));
    }

    [TestMethod]
    public void Options_cut_at_any_character_are_refused_and_so_is_a_character_more()
    {
        string text = Definition.ToText(StoredOptions.Unusual);
        for (int length = 0; length < text.Length; length++)
            States.IsInvalid(() => Definition.Parse<BatchNormalizationOptions>(text[..length]));
        States.IsInvalid(() => Definition.Parse<BatchNormalizationOptions>(text + "0"));
    }

    [TestMethod]
    public void Options_with_a_property_that_is_missing_there_twice_or_unknown_are_refused()
    {
        string text = Definition.ToText(StoredOptions.Unusual);
        Refused(text.Replace("\"center\":true,", "", StringComparison.Ordinal), "center");
        Refused(text.Replace("\"center\":true", "\"center\":true,\"center\":true", StringComparison.Ordinal), "center");
        Refused(text.Replace("\"center\"", "\"middle\"", StringComparison.Ordinal), "middle");
        Refused(text.Replace("\"center\":true", "\"center\":null", StringComparison.Ordinal), "center");
        Refused(text.Replace("\"epsilon\":0.0001", "\"epsilon\":NaN", StringComparison.Ordinal), "not JSON");
        Refused(text.Replace("\"epsilon\":0.0001", "\"epsilon\":\"NaN\"", StringComparison.Ordinal), "epsilon");
        Refused(text.Replace("\"epsilon\":0.0001", "\"epsilon\":-1", StringComparison.Ordinal), "Epsilon must be");
        Refused("null", "null");
        Refused(new string('[', 1000), "not JSON");

        static void Refused(string text, string fragment) => States.IsInvalid(
            () => Definition.Parse<BatchNormalizationOptions>(text), "The definition is", fragment);
    }

    [TestMethod]
    public void Mutated_options_are_refused_or_are_options_that_could_have_been_saved()
    {
        string text = Definition.ToText(StoredOptions.Unusual);
        var random = new Random(3);
        int loaded = 0;
        for (int i = 0; i < 50_000; i++)
        {
            string changed = random.Next(3) == 0
                ? Encoding.UTF8.GetString(Mutation.Of(Encoding.UTF8.GetBytes(text), random))
                : Damage.MutateValue(text, random);
            BatchNormalizationOptions options;
            try
            {
                options = Definition.Parse<BatchNormalizationOptions>(changed);
            }
            catch (InvalidDataException)
            {
                continue;
            }
            loaded++;
            Assert.AreEqual(options, Again(options));
        }
        Assert.IsTrue(loaded > 1000, $"{loaded} were loaded");
    }

    [TestMethod]
    public void A_definition_that_nests_too_deep_cannot_be_saved()
    {
        LearningRateSchedule schedule = LearningRateSchedule.Constant;
        for (int i = 0; i < 200; i++)
            schedule = schedule.WithWarmUp(1);
        Assert.ThrowsExactly<InvalidOperationException>(
            () => Definition.ToText(new RunSetup(
                Network.Input(1), new TrainingOptions { LearningRateSchedule = schedule }, [], 0), TrainingCheckpoint.Json));
    }

    static BatchNormalizationOptions Again(BatchNormalizationOptions options) =>
        Definition.Parse<BatchNormalizationOptions>(Definition.ToText(options));
}
