using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>A member as a line of C#, without its body.</summary>
static class MemberText
{
    static readonly NullabilityInfoContext nullability = new();

    public static string Of(FieldInfo field)
    {
        string value = field.IsLiteral ? $" = {Literal(field.GetRawConstantValue(), field.FieldType)}" : "";
        string kind = field.IsLiteral ? "const "
            : (field.IsStatic ? "static " : "") + (field.IsInitOnly ? "readonly " : "");
        return $"{(field.IsPublic ? "" : "protected ")}{kind}"
            + $"{TypeName.Of(field.FieldType, nullability.Create(field))} {field.Name}{value}";
    }

    public static string Of(ConstructorInfo constructor) =>
        (constructor.IsPublic ? "" : "protected ")
        + $"{constructor.DeclaringType!.Name.Split('`')[0]}({Parameters(constructor.GetParameters())})";

    public static string Of(EventInfo happening) =>
        $"{Modifiers(happening.AddMethod!)}event {TypeName.Of(happening.EventHandlerType!)} {happening.Name}";

    public static string Of(PropertyInfo property)
    {
        MethodInfo[] accessors = [.. property.GetAccessors(nonPublic: true).Where(PublicMembers.IsVisible)];
        MethodInfo widest = accessors.FirstOrDefault(accessor => accessor.IsPublic) ?? accessors[0];
        string name =
            property.GetIndexParameters() is { Length: > 0 } index ? $"this[{Parameters(index)}]" : property.Name;
        string required = property.IsDefined(typeof(RequiredMemberAttribute)) ? "required " : "";
        string reference = property.PropertyType.IsByRef ? "ref " : "";
        IEnumerable<string> parts = accessors.Select(accessor =>
            (widest.IsPublic && !accessor.IsPublic ? "protected " : "") + (accessor.ReturnType != typeof(void) ? "get"
                : accessor.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) ? "init"
                : "set"));
        string type = TypeName.Of(property.PropertyType, nullability.Create(property));
        return $"{Modifiers(widest)}{required}{reference}{type} {name} "
            + $"{{ {string.Concat(parts.Order(StringComparer.Ordinal).Select(part => part + "; "))}}}";
    }

    public static string Of(MethodInfo method)
    {
        Type[] generic = method.GetGenericArguments();
        string arguments = generic.Length == 0 ? "" : $"<{string.Join(", ", generic.Select(type => type.Name))}>";
        string extended = method.IsDefined(typeof(ExtensionAttribute)) ? "this " : "";
        return $"{Modifiers(method)}{Return(method)} {method.Name}{arguments}"
            + $"({extended}{Parameters(method.GetParameters())}){Constraints(generic)}";
    }

    /// <summary>What type parameters must be, with a space before it.</summary>
    public static string Constraints(IEnumerable<Type> parameters) => string.Concat(parameters.Select(parameter =>
    {
        GenericParameterAttributes attributes = parameter.GenericParameterAttributes;
        bool isValue = attributes.HasFlag(GenericParameterAttributes.NotNullableValueTypeConstraint);
        string[] constraints =
        [
            .. Where(attributes.HasFlag(GenericParameterAttributes.ReferenceTypeConstraint), "class"),
            .. Where(isValue, "struct"),
            .. parameter.GetGenericParameterConstraints().Where(type => type != typeof(ValueType))
                .Select(type => TypeName.Of(type)).Order(StringComparer.Ordinal),
            .. Where(attributes.HasFlag(GenericParameterAttributes.DefaultConstructorConstraint) && !isValue, "new()"),
        ];
        return constraints.Length == 0 ? "" : $" where {parameter.Name} : {string.Join(", ", constraints)}";
    }));

    static string[] Where(bool holds, string constraint) => holds ? [constraint] : [];

    /// <summary>The return type and its <c>ref</c>.</summary>
    public static string Return(MethodInfo method) =>
        (method.ReturnType.IsByRef ? "ref " : "")
        + TypeName.Of(method.ReturnType, nullability.Create(method.ReturnParameter));

    public static string Parameters(IEnumerable<ParameterInfo> parameters) => string.Join(", ", parameters.Select(Of));

    static string Of(ParameterInfo parameter)
    {
        string passed = !parameter.ParameterType.IsByRef ? ""
            : parameter.IsOut ? "out " : parameter.IsIn ? "in " : "ref ";
        bool isParams = parameter.IsDefined(typeof(ParamArrayAttribute))
            || parameter.IsDefined(typeof(ParamCollectionAttribute));
        string value = parameter.HasDefaultValue
            ? $" = {Literal(parameter.RawDefaultValue, parameter.ParameterType)}"
            : "";
        return $"{(isParams ? "params " : "")}{passed}"
            + $"{TypeName.Of(parameter.ParameterType, nullability.Create(parameter))} {parameter.Name}{value}";
    }

    static string Modifiers(MethodInfo method)
    {
        string access = method.IsPublic ? "" : "protected ";
        if (method.IsStatic)
            return access + (method.IsAbstract ? "static abstract " : "static ");
        if (method.DeclaringType!.IsInterface)
            return method.IsAbstract ? "" : "virtual ";
        bool overrides = method.GetBaseDefinition().DeclaringType != method.DeclaringType;
        bool isSealed = method.IsFinal || method.DeclaringType.IsSealed;
        return access + (method.IsAbstract ? "abstract " : overrides ? method.IsFinal ? "sealed override " : "override "
            : method.IsVirtual && !isSealed ? "virtual " : "");
    }

    /// <summary>A constant as C# writes it.</summary>
    public static string Literal(object? value, Type type)
    {
        Type bare = Nullable.GetUnderlyingType(type) ?? type;
        return value switch
        {
            null => type.IsValueType && bare == type ? "default" : "null",
            not null when bare.IsEnum => $"{TypeName.Of(bare)}.{Enum.ToObject(bare, value)}",
            string text => $"\"{text}\"",
            bool flag => flag ? "true" : "false",
            char character => $"'{character}'",
            float number => number.ToString(CultureInfo.InvariantCulture) + "F",
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            _ => value.ToString()!,
        };
    }
}
