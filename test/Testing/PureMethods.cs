using System.Diagnostics.Contracts;
using System.Reflection;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>
/// Methods that change nothing and only return a new value. A call that drops the result is a mistake, which analyzers
/// find (CA1806) where the method is <see cref="PureAttribute"/>.
/// </summary>
static class PureMethods
{
    /// <summary>
    /// Every public method that returns a value of its own type, or of the type of one of its parameters, is marked.
    /// </summary>
    /// <param name="assembly">The assembly.</param>
    /// <param name="expected">Some methods that must be among them.</param>
    public static void Check(Assembly assembly, params string[] expected)
    {
        MethodInfo[] methods =
            [.. assembly.GetExportedTypes().SelectMany(type => type.GetMethods()).Where(ReturnsNewValue)];
        CollectionAssert.IsSubsetOf(expected, Array.ConvertAll(methods, Name));
        string[] unmarked =
            [.. methods.Where(method => !method.IsDefined(typeof(PureAttribute), inherit: true)).Select(Name)];
        Assert.IsEmpty(unmarked, $"Not marked as [Pure]: {string.Join(", ", unmarked)}");
    }

    static bool ReturnsNewValue(MethodInfo method)
    {
        Type returned = method.ReturnType;
        ParameterInfo[] parameters = method.GetParameters();
        return !method.IsSpecialName && !method.Name.StartsWith('<')
            && returned.Assembly.GetName().Name!.StartsWith("Microsoft.ML.BatchNorm", StringComparison.Ordinal)
            && (!method.IsStatic && returned == method.DeclaringType
                || parameters.Any(parameter => parameter.ParameterType == returned))
            && !parameters.Any(parameter => parameter.IsOut || typeof(Stream).IsAssignableFrom(parameter.ParameterType));
    }

    static string Name(MethodInfo method) => $"{method.DeclaringType!.Name}.{method.Name}";
}
