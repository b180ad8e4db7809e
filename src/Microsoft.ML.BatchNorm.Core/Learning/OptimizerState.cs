using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What an optimizer has gathered over its steps: moments in the layout of the parameters that they belong to, by names
/// of the form <c>dense/kernel/m</c>. An immutable value.
/// </summary>
/// <param name="Steps">The number of steps taken.</param>
/// <param name="Moments">
/// <c>velocity</c> for SGD with momentum, <c>m</c> and <c>v</c> for Adam, behind the parameter's path.
/// </param>
public sealed record OptimizerState(long Steps, ImmutableSortedDictionary<string, ImmutableArray<float>> Moments)
{
    /// <summary>An optimizer that has taken no step.</summary>
    public static OptimizerState Empty { get; } =
        new(0, ImmutableSortedDictionary.Create<string, ImmutableArray<float>>(StringComparer.Ordinal));
}
