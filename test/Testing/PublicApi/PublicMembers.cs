using System.Reflection;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>What of a type others can name, but for what the compiler adds to a record.</summary>
static class PublicMembers
{
    const BindingFlags Declared = BindingFlags.DeclaredOnly | BindingFlags.Public | BindingFlags.NonPublic
        | BindingFlags.Instance | BindingFlags.Static;

    /// <summary>A line each: fields, constructors, properties, events, methods, by their names.</summary>
    public static IEnumerable<string> Of(Type type) =>
    [
        .. Lines(type.GetFields(Declared).Where(field => IsVisible(field)), MemberText.Of),
        .. Lines(type.GetConstructors(Declared).Where(IsVisible), MemberText.Of),
        .. Lines(type.GetProperties(Declared).Where(
            property => property.GetAccessors(nonPublic: true).Any(IsVisible)), WithDefault(Example(type))),
        .. Lines(type.GetEvents(Declared).Where(happening => IsVisible(happening.AddMethod!)), MemberText.Of),
        .. Lines(type.GetMethods(Declared).Where(IsNamed), MemberText.Of),
    ];

    public static bool IsVisible(MethodBase method) =>
        IsVisible(method.DeclaringType!, method.IsPublic, method.IsFamily || method.IsFamilyOrAssembly)
        && (method is not MethodInfo { IsVirtual: true } info || IsOutside(info.GetBaseDefinition()));

    static bool IsVisible(FieldInfo field) =>
        !field.IsSpecialName
        && IsVisible(field.DeclaringType!, field.IsPublic, field.IsFamily || field.IsFamilyOrAssembly);

    static bool IsVisible(Type type, bool isPublic, bool isProtected) => isPublic || isProtected && !type.IsSealed;

    /// <summary>An override of what only ML.NET itself may override is nobody's to name.</summary>
    static bool IsOutside(MethodInfo method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    static bool IsNamed(MethodInfo method) =>
        IsVisible(method) && !method.IsDefined(typeof(CompilerGeneratedAttribute))
        && (!method.IsSpecialName || method.Name.StartsWith("op_", StringComparison.Ordinal));

    /// <summary>
    /// A new object, whose properties have their defaults: of the type, or where it is abstract of the first that
    /// derives from it. Null where none can be made of nothing.
    /// </summary>
    static object? Example(Type type)
    {
        IEnumerable<Type> candidates = !type.IsAbstract ? [type]
            : type.Assembly.GetExportedTypes().Where(type.IsAssignableFrom)
                .OrderBy(derived => derived.FullName, StringComparer.Ordinal);
        Type? found = candidates.FirstOrDefault(candidate =>
            !candidate.IsAbstract && !candidate.ContainsGenericParameters && candidate.GetConstructor([]) is not null);
        return found is null ? null : Activator.CreateInstance(found);
    }

    static Func<PropertyInfo, string> WithDefault(object? example) => property =>
        example is not null && property.SetMethod is { IsPublic: true, IsStatic: false }
            && !property.IsDefined(typeof(RequiredMemberAttribute))
            && property.GetIndexParameters() is [] && IsConstant(property.GetValue(example))
            ? $"{MemberText.Of(property)} = {MemberText.Literal(property.GetValue(example), property.PropertyType)}"
            : MemberText.Of(property);

    static bool IsConstant(object? value) => value is null or string or Enum || value.GetType().IsPrimitive;

    static IEnumerable<string> Lines<T>(IEnumerable<T> members, Func<T, string> text) where T : MemberInfo =>
        members.Where(member => !member.IsDefined(typeof(CompilerGeneratedAttribute)))
            .Select(member => (member.Name, Text: text(member)))
            .OrderBy(line => line.Name, StringComparer.Ordinal).ThenBy(line => line.Text, StringComparer.Ordinal)
            .Select(line => line.Text);
}
