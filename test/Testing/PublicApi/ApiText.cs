using System.Reflection;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>An assembly's public types and their members as text, always in the same order.</summary>
static class ApiText
{
    /// <summary>A line for each type, with the members' lines behind it, set in.</summary>
    public static string[] Of(Assembly assembly)
    {
        var lines = new List<string>();
        foreach (Type type in assembly.GetExportedTypes().OrderBy(type => type.FullName, StringComparer.Ordinal))
        {
            if (lines.Count > 0)
                lines.Add("");
            lines.Add(Header(type));
            lines.AddRange(Members(type).Select(member => "    " + member));
        }
        return [.. lines];
    }

    static string Header(Type type) =>
        $"{Kind(type)} {type.Namespace}.{TypeName.Of(type)}{Bases(type)}"
        + MemberText.Constraints(type.GetGenericArguments().Where(argument => argument.DeclaringType == type));

    static IEnumerable<string> Members(Type type)
    {
        if (type.IsEnum)
            return Enum.GetNames(type).Select(name => $"{name} = {Enum.Format(type, Enum.Parse(type, name), "d")}");
        if (!IsDelegate(type))
            return PublicMembers.Of(type);
        MethodInfo invoke = type.GetMethod("Invoke")!;
        return [$"{MemberText.Return(invoke)} Invoke({MemberText.Parameters(invoke.GetParameters())})"];
    }

    static string Kind(Type type) => type switch
    {
        { IsEnum: true } => "enum",
        { IsInterface: true } => "interface",
        { IsValueType: true } => (type.IsDefined(typeof(IsReadOnlyAttribute)) ? "readonly " : "")
            + (type.IsByRefLike ? "ref " : "") + (IsRecord(type) ? "record struct" : "struct"),
        _ when IsDelegate(type) => "delegate",
        _ => (type.IsAbstract ? type.IsSealed ? "static " : "abstract " : type.IsSealed ? "sealed " : "")
            + (IsRecord(type) ? "record" : "class"),
    };

    static bool IsDelegate(Type type) => type.IsSubclassOf(typeof(Delegate));

    static bool IsRecord(Type type) =>
        type.GetMethod("PrintMembers", BindingFlags.DeclaredOnly | BindingFlags.NonPublic | BindingFlags.Instance)
            ?.IsDefined(typeof(CompilerGeneratedAttribute)) == true;

    /// <summary>The base and the public interfaces that the type adds, without those that come with others.</summary>
    static string Bases(Type type)
    {
        if (type.IsEnum || IsDelegate(type))
            return "";
        Type[] all = type.GetInterfaces();
        Type[] inherited = [.. type.BaseType?.GetInterfaces() ?? [], .. all.SelectMany(i => i.GetInterfaces())];
        IEnumerable<string> names = all.Except(inherited).Where(i => i.IsVisible)
            .Select(i => TypeName.Of(i)).Order(StringComparer.Ordinal);
        if (type.BaseType is { IsValueType: false } parent && parent != typeof(object) && parent != typeof(ValueType))
            names = names.Prepend(TypeName.Of(parent));
        return names.Any() ? $" : {string.Join(", ", names)}" : "";
    }
}
