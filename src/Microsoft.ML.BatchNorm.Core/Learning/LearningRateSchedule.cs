using System.Diagnostics.Contracts;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>A factor that the learning rate is multiplied by at each step of a run. An immutable value.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(ConstantSchedule), "constant")]
[JsonDerivedType(typeof(StepSchedule), "step")]
[JsonDerivedType(typeof(CosineSchedule), "cosine")]
[JsonDerivedType(typeof(WarmUpSchedule), "warmUp")]
public abstract record LearningRateSchedule
{
    private protected LearningRateSchedule()
    {
    }

    /// <summary>The factor is always 1.</summary>
    public static LearningRateSchedule Constant { get; } = new ConstantSchedule();

    /// <summary>
    /// The factor is multiplied by <paramref name="factor"/> after every <paramref name="epochs"/> epochs.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The epochs are not positive, or the factor is not from 0 to 1.
    /// </exception>
    public static LearningRateSchedule Step(int epochs, double factor = 0.1) => new StepSchedule(
        Check.Positive(epochs, nameof(epochs)), Check.Share(factor, nameof(factor)));

    /// <summary>
    /// Half a cosine from 1 down to <paramref name="last"/> over the whole run, step by step (Loshchilov and Hutter,
    /// 2017, without restarts).
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not from 0 to 1.</exception>
    public static LearningRateSchedule Cosine(double last = 0) => new CosineSchedule(Check.Share(last, nameof(last)));

    /// <summary>
    /// The same schedule after a linear warm-up over the first epochs: step i of their n steps has the factor
    /// (i + 1)/n, and the schedule begins where they end.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The epochs are not positive.</exception>
    [Pure]
    public LearningRateSchedule WithWarmUp(int epochs) =>
        new WarmUpSchedule(this, Check.Positive(epochs, nameof(epochs)));

    /// <summary>The factor of one step.</summary>
    /// <param name="stepIndex">The step, from 0.</param>
    /// <param name="stepsPerEpoch">The steps of an epoch.</param>
    /// <param name="epochs">The epochs of the run.</param>
    public abstract double Factor(long stepIndex, long stepsPerEpoch, int epochs);

    internal sealed record ConstantSchedule : LearningRateSchedule
    {
        public override double Factor(long stepIndex, long stepsPerEpoch, int epochs) => 1;
    }

    internal sealed record StepSchedule(int Every, double Multiplier) : LearningRateSchedule
    {
        public override double Factor(long stepIndex, long stepsPerEpoch, int epochs) =>
            Math.Pow(Multiplier, stepIndex / stepsPerEpoch / Every);
    }

    internal sealed record CosineSchedule(double Last) : LearningRateSchedule
    {
        public override double Factor(long stepIndex, long stepsPerEpoch, int epochs) =>
            Last + (1 - Last) * 0.5 * (1 + Math.Cos(Math.PI * stepIndex / Math.Max(1.0, stepsPerEpoch * epochs)));
    }

    internal sealed record WarmUpSchedule(LearningRateSchedule Then, int Over) : LearningRateSchedule
    {
        public override double Factor(long stepIndex, long stepsPerEpoch, int epochs)
        {
            long rise = stepsPerEpoch * Over;
            return stepIndex < rise
                ? (stepIndex + 1.0) / rise
                : Then.Factor(stepIndex - rise, stepsPerEpoch, Math.Max(1, epochs - Over));
        }
    }
}
