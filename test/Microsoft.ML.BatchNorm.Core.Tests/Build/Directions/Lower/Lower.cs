namespace Microsoft.ML.BatchNorm.Tests.Directions;

/// <summary>Each of these refers to the folder above in one way.</summary>
sealed class ByBase : UpperBase;

sealed class ByInterface : IUpper;

sealed class ByField
{
    public UpperNumber Number { get; set; }
}

interface IByParameter
{
    void Take(ref UpperNumber[] numbers);
}

sealed class ByConstraint<T> where T : IUpper;

sealed class ByGenericArgument
{
    public List<UpperBase>? Values { get; set; }
}

static class ByLocal
{
    public static int Read()
    {
        UpperValue value = default;
        value.Number++;
        return value.Number;
    }
}

static class ByCall
{
    public static int Call() => UpperBase.Compute();
}

static class ByLambda
{
    public static Func<int, int> Call() => value => UpperCall.Of(value);
}

static class ByIterator
{
    public static IEnumerable<int> Call()
    {
        yield return UpperBase.Value;
    }
}

/// <summary>Refers to nothing above.</summary>
static class Innocent
{
    public static string Name => nameof(UpperBase);
}
