namespace Microsoft.ML.BatchNorm.Tests.Directions;

/// <summary>What the types of the folder below must not refer to.</summary>
interface IUpper;

enum UpperNumber { One }

class UpperBase : IUpper
{
    public static int Value { get; set; }

    public static int Compute() => Value;
}

struct UpperValue
{
    public int Number;
}

static class UpperCall
{
    public static T Of<T>(T value) => value;
}
