namespace Microsoft.ML.BatchNorm.Tests.Directions;

/// <summary>Each refers to the folder above it in one way.</summary>
class ByBase : UpperBase;

class ByInterface : IUpper;

class ByField
{
    public UpperNumber Number;
}

interface IByParameter
{
    void Take(ref UpperNumber[] numbers);
}

class ByConstraint<T> where T : IUpper;

class ByGenericArgument
{
    public List<UpperBase>? Values;
}

class ByLocal
{
    public static int Read()
    {
        UpperValue value = default;
        value.Number++;
        return value.Number;
    }
}

class ByCall
{
    public static int Call() => UpperBase.Compute();
}

class ByLambda
{
    public static Func<int, int> Call() => value => UpperCall.Of(value);
}

class ByIterator
{
    public static IEnumerable<int> Call()
    {
        yield return UpperBase.Value;
    }
}

/// <summary>Refers to nothing above.</summary>
class Innocent
{
    public static string Name => nameof(UpperBase);
}
