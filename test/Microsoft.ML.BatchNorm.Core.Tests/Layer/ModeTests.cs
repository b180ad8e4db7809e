namespace Microsoft.ML.BatchNorm.Tests.Layer;

/// <summary>Which mode a call runs in, what learns, and what moves.</summary>
[TestClass]
public sealed class ModeTests
{
    static readonly ChannelLayout Layout = ChannelLayout.Features(32, 4);
    static readonly float[] X = Sample.Floats(128, 1, 5, 3);

    static (BatchNormalizationState State, float[] Y) Call(
        BatchNormalizationOptions options, BatchNormalizationState state, bool training)
    {
        float[] y = new float[X.Length];
        return (BatchNormalization.Forward(options, state, Layout, X, y, training).NextState, y);
    }

    static float[] Inference(BatchNormalizationOptions options, BatchNormalizationState state) =>
        Call(options, state, training: false).Y;

    [TestMethod]
    public void A_frozen_layer_is_bit_identical_after_any_number_of_training_calls()
    {
        foreach (MovingStatistics kind in Enum.GetValues<MovingStatistics>())
        {
            var options = new BatchNormalizationOptions { Trainable = false, MovingStatistics = kind };
            BatchNormalizationState first = Sample.State(options, 4), state = first;
            float[] expected = Inference(options, first);
            for (int call = 0; call < 1000; call++)
            {
                (state, float[] y) = Call(options, state, training: true);
                Agreement.SameBits<float>(expected, y);
                state = BatchNormalization.UpdateMovingStatistics(options, state, Layout, X);
                state = BatchNormalization.UpdateAffine(options, state, [9, 9, 9, 9], [9, 9, 9, 9]);
            }
            Assert.AreSame(first, state);
        }
    }

    [TestMethod]
    public void Unfreezing_resumes_where_the_statistics_were()
    {
        var options = new BatchNormalizationOptions();
        BatchNormalizationState state = Sample.State(options, 4);
        BatchNormalizationState expected = Call(options, state, training: true).State;
        for (int call = 0; call < 10; call++)
            state = Call(options with { Trainable = false }, state, training: true).State;
        Assert.AreEqual(expected, Call(options, state, training: true).State);
    }

    [TestMethod]
    public void Training_mode_moves_the_statistics_and_leaves_gamma_and_beta()
    {
        var options = new BatchNormalizationOptions();
        BatchNormalizationState state = Sample.State(options, 4), next = Call(options, state, training: true).State;
        Assert.AreNotEqual(state, next);
        Agreement.SameBits(state.Gamma, next.Gamma);
        Agreement.SameBits(state.Beta, next.Beta);
        Assert.AreEqual(state.BatchesSeen + 1, next.BatchesSeen);
    }

    [TestMethod]
    public void Inference_never_moves_anything()
    {
        var options = new BatchNormalizationOptions();
        BatchNormalizationState state = Sample.State(options, 4);
        Assert.AreSame(state, Call(options, state, training: false).State);
    }

    [TestMethod]
    public void Kept_statistics_normalize_in_training_while_gamma_and_beta_learn()
    {
        var options = new BatchNormalizationOptions { UpdateStatistics = false };
        BatchNormalizationState state = Sample.State(options, 4);
        (BatchNormalizationState next, float[] y) = Call(options, state, training: true);
        Assert.AreSame(state, next);
        Agreement.SameBits<float>(Inference(options, state), y);
        BatchNormalizationState learned = BatchNormalization.UpdateAffine(options, state, [1, 2, 3, 4], [5, 6, 7, 8]);
        Agreement.SameBits<float>([1, 2, 3, 4], learned.Gamma);
        Agreement.SameBits<float>([5, 6, 7, 8], learned.Beta);
    }

    [TestMethod]
    public void Gamma_and_beta_stay_without_train_affine_while_the_statistics_move()
    {
        var options = new BatchNormalizationOptions { TrainAffine = false };
        BatchNormalizationState state = Sample.State(options, 4);
        Assert.AreSame(state, BatchNormalization.UpdateAffine(options, state, [1, 2, 3, 4], [5, 6, 7, 8]));
        Assert.AreNotEqual(state, Call(options, state, training: true).State);
    }

    [TestMethod]
    public void Without_moving_statistics_both_modes_use_the_batch()
    {
        var options = new BatchNormalizationOptions { TrackMovingStatistics = false };
        BatchNormalizationState state = Sample.State(options, 4);
        (BatchNormalizationState next, float[] training) = Call(options, state, training: true);
        Assert.AreSame(state, next);
        Agreement.SameBits<float>(training, Inference(options, state));
        Assert.ThrowsExactly<ArgumentException>(() => new AffineMap(options, state));
    }

    [TestMethod]
    public void Inference_equals_the_folded_map_bit_for_bit()
    {
        var options = new BatchNormalizationOptions();
        BatchNormalizationState state = Sample.State(options, 4);
        float[] y = new float[X.Length], row = new float[4];
        var map = new AffineMap(options, state);
        map.Apply(Layout, X, y);
        Agreement.SameBits<float>(Inference(options, state), y);
        for (int r = 0; r < 32; r++)
        {
            map.Apply(X.AsSpan(4 * r, 4), row);
            Agreement.SameBits<float>(y.AsSpan(4 * r, 4), row);
        }
    }

    [TestMethod]
    public void Constraints_hold_after_every_step_and_penalties_are_those_of_the_options()
    {
        var options = new BatchNormalizationOptions
        {
            GammaConstraint = Constraint.NonNegative,
            BetaConstraint = Constraint.MaxNorm(1),
            GammaRegularizer = Regularizer.L1(0.5),
            BetaRegularizer = Regularizer.L2(0.25),
        };
        BatchNormalizationState state = BatchNormalization.UpdateAffine(
            options, Sample.State(options, 4), [-1, 2, -3, 4], [3, 0, 4, 0]);
        Agreement.SameBits<float>([0, 2, 0, 4], state.Gamma);
        Agreement.Within(1e-6, [0.6, 0, 0.8, 0], state.Beta);
        Assert.AreEqual(0.5 * 6 + 0.25 * 1, BatchNormalization.Penalty(options, state), 1e-6);
        float[] dGamma = [1, 1, 1, 1], dBeta = [0, 0, 0, 0];
        BatchNormalization.AddPenaltyGradient(options, state, dGamma, dBeta);
        Agreement.SameBits<float>([1, 1.5f, 1, 1.5f], dGamma);
        Agreement.Within(1e-6, [0.3, 0, 0.4, 0], dBeta);
    }
}
