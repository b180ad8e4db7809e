namespace Microsoft.ML.BatchNorm;

/// <summary>One part of a run: epochs with switches and a learning rate of their own. An immutable value.</summary>
/// <param name="Name">What progress and history call it.</param>
/// <param name="Epochs">How often the data is gone through, positive.</param>
/// <param name="LearningRate">The optimizer's learning rate, before the schedule; at least 0.</param>
/// <param name="Switches">
/// Gives the network of this phase from the network as it was given: the same layers, other switches. A layer that is
/// frozen in what it is given must stay frozen.
/// </param>
public sealed record TrainingPhase(string Name, int Epochs, double LearningRate, Func<Network, Network> Switches)
{
    /// <summary>What progress and history call it.</summary>
    public string Name { get; init => field = NotNull(value); } = NotNull(Name);

    /// <summary>How often the data is gone through.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int Epochs { get; init => field = Check.Positive(value, nameof(Epochs)); } =
        Check.Positive(Epochs, nameof(Epochs));

    /// <summary>The optimizer's learning rate, before the schedule.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public double LearningRate { get; init => field = Check.NotNegative(value, nameof(LearningRate)); } =
        Check.NotNegative(LearningRate, nameof(LearningRate));

    /// <summary>Gives the network of this phase from the network as it was given.</summary>
    public Func<Network, Network> Switches { get; init => field = NotNull(value); } = NotNull(Switches);

    static T NotNull<T>(T value) where T : class
    {
        ArgumentNullException.ThrowIfNull(value);
        return value;
    }
}
