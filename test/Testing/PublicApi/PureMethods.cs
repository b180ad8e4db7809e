using System.Diagnostics.Contracts;
using System.Reflection;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>Methods that change nothing and give another value back, so that a call whose result is dropped is a slip.</summary>
static class PureMethods
{
    /// <summary>
    /// Each public method that gives another value of its own type, or of one that it is given, is marked as pure, by
    /// which analyzers find a dropped result (CA1806).
    /// </summary>
    public static void Check(Assembly assembly, params string[] expected)
    {
        MethodInfo[] methods = [.. assembly.GetExportedTypes().SelectMany(type => type.GetMethods()).Where(GivesAnother)];
        CollectionAssert.IsSubsetOf(expected, Array.ConvertAll(methods, Name));
        string[] unmarked =
            [.. methods.Where(method => !method.IsDefined(typeof(PureAttribute), inherit: true)).Select(Name)];
        Assert.IsEmpty(unmarked, $"Not marked as [Pure]: {string.Join(", ", unmarked)}");
    }

    static bool GivesAnother(MethodInfo method)
    {
        Type given = method.ReturnType;
        ParameterInfo[] parameters = method.GetParameters();
        return !method.IsSpecialName && !method.Name.StartsWith('<')
            && given.Assembly.GetName().Name!.StartsWith("Microsoft.ML.BatchNorm", StringComparison.Ordinal)
            && (!method.IsStatic && given == method.DeclaringType
                || parameters.Any(parameter => parameter.ParameterType == given))
            && !parameters.Any(parameter => parameter.IsOut || typeof(Stream).IsAssignableFrom(parameter.ParameterType));
    }

    static string Name(MethodInfo method) => $"{method.DeclaringType!.Name}.{method.Name}";
}
