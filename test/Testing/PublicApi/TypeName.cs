using System.Reflection;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>The name of a type as C# writes it, without namespaces.</summary>
static class TypeName
{
    static readonly Dictionary<Type, string> keywords = new()
    {
        [typeof(bool)] = "bool", [typeof(byte)] = "byte", [typeof(sbyte)] = "sbyte", [typeof(char)] = "char",
        [typeof(short)] = "short", [typeof(ushort)] = "ushort", [typeof(int)] = "int", [typeof(uint)] = "uint",
        [typeof(long)] = "long", [typeof(ulong)] = "ulong", [typeof(nint)] = "nint", [typeof(nuint)] = "nuint",
        [typeof(float)] = "float", [typeof(double)] = "double", [typeof(decimal)] = "decimal",
        [typeof(string)] = "string", [typeof(object)] = "object", [typeof(void)] = "void",
    };

    /// <summary>The name, with a question mark behind what may be null, where that is known.</summary>
    public static string Of(Type type, NullabilityInfo? nullability = null)
    {
        if (type.IsByRef)
            return Of(type.GetElementType()!, nullability);
        if (Nullable.GetUnderlyingType(type) is { } value)
            return Of(value) + "?";
        bool mayBeNull = nullability?.ReadState == NullabilityState.Nullable
            && !type.IsValueType && !type.IsGenericParameter;
        return Bare(type, nullability) + (mayBeNull ? "?" : "");
    }

    static string Bare(Type type, NullabilityInfo? nullability)
    {
        if (keywords.TryGetValue(type, out string? keyword))
            return keyword;
        if (type.IsPointer)
            return Of(type.GetElementType()!) + "*";
        if (type.IsArray)
        {
            string commas = new(',', type.GetArrayRank() - 1);
            return $"{Of(type.GetElementType()!, nullability?.ElementType)}[{commas}]";
        }
        Type[] types = type.GetGenericArguments();
        NullabilityInfo[] states = nullability?.GenericTypeArguments ?? [];
        string[] arguments =
            [.. types.Select((argument, i) => Of(argument, states.Length == types.Length ? states[i] : null))];
        return type.FullName?.StartsWith("System.ValueTuple`", StringComparison.Ordinal) == true
            ? $"({string.Join(", ", arguments)})"
            : Named(type, arguments);
    }

    /// <summary>A type that is nested in a generic one repeats its arguments before its own.</summary>
    static string Named(Type type, string[] arguments)
    {
        Type? outer = type.IsGenericParameter ? null : type.DeclaringType;
        int own = outer?.GetGenericArguments().Length ?? 0;
        string list = arguments.Length > own ? $"<{string.Join(", ", arguments[own..])}>" : "";
        string name = type.Name.Split('`')[0] + list;
        return outer is null ? name : $"{Named(outer, arguments[..own])}.{name}";
    }
}
