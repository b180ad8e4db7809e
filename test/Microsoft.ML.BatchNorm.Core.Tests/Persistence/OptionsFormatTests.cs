using Microsoft.ML.BatchNorm.Persistence;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class OptionsFormatTests
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
            Assert.AreEqual(options, OptionsFormat.FromBytes(OptionsFormat.ToBytes(options)));
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
    public void Options_cut_at_any_byte_are_refused_and_so_is_a_byte_more()
    {
        byte[] bytes = OptionsFormat.ToBytes(StoredOptions.Unusual);
        for (int length = 0; length < bytes.Length; length++)
            Assert.ThrowsExactly<InvalidDataException>(() => OptionsFormat.FromBytes(bytes.AsSpan(0, length)));
        Assert.ThrowsExactly<InvalidDataException>(() => OptionsFormat.FromBytes([.. bytes, 0]));
    }

    [TestMethod]
    public void Mutated_options_are_refused_or_are_options_that_could_have_been_saved()
    {
        byte[] bytes = OptionsFormat.ToBytes(StoredOptions.Unusual);
        var random = new Random(3);
        int loaded = 0;
        for (int i = 0; i < 50_000; i++)
        {
            BatchNormalizationOptions options;
            try
            {
                options = OptionsFormat.FromBytes(Mutation.Of(bytes, random));
            }
            catch (Exception error) when (error is InvalidDataException or ArgumentException)
            {
                continue;
            }
            loaded++;
            Assert.AreEqual(options, OptionsFormat.FromBytes(OptionsFormat.ToBytes(options)));
        }
        Assert.IsTrue(loaded > 100, $"{loaded} were loaded");
    }
}
