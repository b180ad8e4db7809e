using System.Reflection;
using System.Runtime.CompilerServices;
using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

/// <summary>
/// The values that a vector column is read from, where rows are objects of the user's: those of a prediction engine and
/// of <c>LoadFromEnumerable</c>. ML.NET's getter copies them into the buffer of whoever reads the column, which for a
/// reader that writes every value anew is a third of the work.
/// </summary>
/// <remarks>
/// ML.NET gives them to nobody, but its getter is a closure over the row, the delegate that reads the object's member,
/// and what this read last. Of any other getter nothing is assumed.
/// </remarks>
abstract class MemberValues<T>
{
    const BindingFlags Members = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

    /// <summary>The values of the row where its cursor is now; none where they are not all stored.</summary>
    public abstract ReadOnlySpan<T> Current { get; }

    /// <summary>What <paramref name="getter"/> copies from, or null where that is not known.</summary>
    public static MemberValues<T>? Of(ValueGetter<VBuffer<T>> getter)
    {
        Type anyRow = typeof(DataViewConstructionUtils.InputRowBase<>);
        if (getter.Target is not { } closure || closure.GetType().DeclaringType != anyRow)
            return null;
        FieldInfo[] fields = closure.GetType().GetFields(Members);
        object?[] captured = Array.ConvertAll(fields, field => field.GetValue(closure));
        if (captured.OfType<DataViewRow>().FirstOrDefault() is not { } row ||
            captured.OfType<Delegate>().FirstOrDefault() is not { } peek ||
            peek.GetType() is not { IsGenericType: true } type || type.GetGenericTypeDefinition() != typeof(Peek<,>))
            return null;
        (Type rows, Type member) = (type.GenericTypeArguments[0], type.GenericTypeArguments[1]);
        Type rowType = anyRow.MakeGenericType(rows);
        if (fields.Length != 3 || !fields.Any(field => field.FieldType == member) || !rowType.IsInstanceOfType(row) ||
            rowType.GetMethod(RowObject<object>.Method, Members, [])?.ReturnType != rows)
            return null;
        return member == typeof(T[]) ? New(typeof(OfArray<>))
            : member == typeof(VBuffer<T>) ? New(typeof(OfBuffer<>))
            : null;

        MemberValues<T> New(Type values) =>
            (MemberValues<T>)Activator.CreateInstance(values.MakeGenericType(typeof(T), rows), row, peek)!;
    }

    sealed class OfArray<TRow>(DataViewConstructionUtils.InputRowBase<TRow> row, Peek<TRow, T[]?> peek)
        : MemberValues<T> where TRow : class
    {
        public override ReadOnlySpan<T> Current
        {
            get
            {
                T[]? array = null;
                peek(RowObject<TRow>.Current(row), row.Position, ref array);
                return array;
            }
        }
    }

    sealed class OfBuffer<TRow>(DataViewConstructionUtils.InputRowBase<TRow> row, Peek<TRow, VBuffer<T>> peek)
        : MemberValues<T> where TRow : class
    {
        public override ReadOnlySpan<T> Current
        {
            get
            {
                VBuffer<T> buffer = default;
                peek(RowObject<TRow>.Current(row), row.Position, ref buffer);
                return buffer.IsDense ? buffer.GetValues() : default;
            }
        }
    }
}

/// <summary>The user's object behind a row.</summary>
static class RowObject<TRow> where TRow : class
{
    public const string Method = "GetCurrentRowObject";

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = Method)]
    public static extern TRow Current(DataViewConstructionUtils.InputRowBase<TRow> row);
}
