using System.Buffers.Binary;
using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Import;

// Operators that move no value, or only compute sizes; and concatenation.
sealed partial class GraphImport
{
    Operand Identity() => In(0) switch
    {
        Constant constant => constant.Named(node.Outputs[0]),
        { } other => other,
        _ => throw node.Invalid("it reads nothing"),
    };

    /// <summary>Numbers have one type in a network, and sizes are whole.</summary>
    Operand Cast()
    {
        var type = (OnnxType)node.Int("to", 0);
        bool isWhole = type is OnnxType.Int32 or OnnxType.Int64;
        return In(0) switch
        {
            null => throw node.Invalid("it reads nothing"),
            Sizes sizes when isWhole => sizes,
            Constant constant when IsReal(type) || (isWhole && constant.Tensor.IsWhole) => constant,
            Value x when IsReal(type) => x,
            Sizes => Fail("it makes sizes numbers of another kind"),
            _ => Fail("it rounds to whole numbers"),
        };
    }

    static bool IsReal(OnnxType type) =>
        type is OnnxType.Float or OnnxType.Float16 or OnnxType.Double or OnnxType.BFloat16;

    /// <remarks>Such a constant has no name: exporters make it up.</remarks>
    Operand ConstantOf()
    {
        if ((node.Find("value") ?? node.Find("value_floats"))?.Tensor is { } tensor)
            return Constant.Of("", tensor);
        tensor = new OnnxTensor { Type = OnnxType.Int64 };
        if (node.Find("value_float") is not null)
        {
            tensor.Type = OnnxType.Float;
            byte[] bytes = new byte[sizeof(float)];
            BinaryPrimitives.WriteSingleLittleEndian(bytes, node.Float("value_float", 0));
            tensor.AddBytes(bytes);
        }
        else if (node.Find("value_int") is not null)
        {
            tensor.AddInteger(node.Int("value_int", 0));
        }
        else if (node.Find("value_ints") is { Ints: var integers })
        {
            tensor.AddDimension(integers.Length);
            Array.ForEach(integers, tensor.AddInteger);
        }
        else
        {
            return Fail("it is no tensor of numbers");
        }
        return Constant.Of("", tensor);
    }

    /// <summary>It is not left out, so that a training drops values again.</summary>
    Operand Dropout()
    {
        if (In(0) is not Value x)
            return Fail("it reads a constant");
        if (Number(1, node.Finite("ratio", 0.5f)) is not { } given)
            return Fail("its rate is computed");
        double rate = Exact((float)given);
        if (rate >= 1)
            notes.Add($"{node} drops every value in training, and is left out.");
        return rate is > 0 and < 1 ? Pointwise(x, new DropoutLayer(rate)) : x;
    }

    Operand Flatten()
    {
        if (In(0) is not Value x)
            return Fail("it reads a constant");
        long axis = node.Int("axis", 1);
        return (axis < 0 ? axis + x.Rank : axis) == 1 && x.Order[0] == 0
            ? InOneDimension(x)
            : Fail("it does not leave the batch alone");
    }

    Value InOneDimension(Value x)
    {
        if (x.Shape.IsEmpty)
            return x.Seen([1], node);
        // The network's input keeps the shape that the file gives it.
        if (x.Shape.Length > 1 && x.Term is InputTerm)
            Settle(x);
        return x.AsPlain()?.Seen([x.Size], node) ?? new Value(x.Term, [x.Size])
        {
            IsShared = x.IsShared, Viewer = node, Moved = x.Moved ?? (x.Shape, x.Order),
        };
    }

    Operand Reshape()
    {
        long?[]? target = SizesOf(In(1));
        if (target is null)
            return Fail("its shape is computed");
        bool copiesZeros = node.Int("allowzero", 0) == 0;
        switch (In(0))
        {
            case Constant when target.Contains(null):
                return Fail("its shape depends on the batch");
            case Constant constant:
                long[] known = [.. target.Select((size, i) =>
                    size == 0 && copiesZeros && i < constant.Dimensions.Length ? constant.Dimensions[i] : size!.Value)];
                int free = Array.IndexOf(known, -1);
                if (free >= 0)
                    known[free] = Rest(constant.Count, known, free);
                return Reshaped(constant, known);
            case Value x:
                return x.Order[0] == 0 ? Reshaped(x, target, copiesZeros) : Fail("it moves the batch");
            default:
                return Fail("it reads sizes");
        }
    }

    Operand Reshaped(Constant constant, long[] shape)
    {
        if (shape.Length > OnnxTensor.MostDimensions)
            throw TooMany(shape.Length);
        if (Product(shape) != constant.Count)
            throw node.Invalid($"{constant.Count} values do not have the shape [{string.Join(", ", shape)}]");
        return constant.Reshaped([.. shape.Select(size => (int)size)])
            ?? (Operand)Fail("its constant is transposed");
    }

    Operand Reshaped(Value x, long?[] target, bool copiesZeros)
    {
        if (target.Length == 0)
            return Fail("it removes the batch");
        long?[] sizes = [.. target.Select((size, i) => size == 0 && copiesZeros
            ? i < x.Rank ? x[i] : throw node.Invalid("it keeps a dimension that its input does not have")
            : size)];
        if (sizes.Skip(1).Any(size => size is null))
            return Fail("it moves the batch");
        long[] row = [.. sizes.Skip(1).Select(size => size!.Value)];
        int free = Array.IndexOf(row, -1);
        // The batch is what is left, or the number that the file fixes it at.
        bool isBatch = sizes[0] is null or -1 || sizes[0] == (batch ?? 1);
        if (free >= 0 && sizes[0] != -1)
            row[free] = Rest(x.Size, row, free);
        if (!isBatch || Product(row) != x.Size)
            return Fail($"it does not keep a row of {x.Size} values together");
        if (sizes[0] == 1 && batch is null)
            notes.Add($"{node} makes batches of 1 row; the network takes any number of rows.");
        ImmutableArray<int> shape = [.. row.Select(size => (int)size)];
        if (shape.Length == 1)
            return InOneDimension(x);
        return x.AsPlain()?.Seen(shape, node) ?? (Operand)Fail("it reads a transposed value");
    }

    /// <summary>The size that is left for one dimension.</summary>
    long Rest(long count, long[] sizes, int free)
    {
        long others = Product([.. sizes.Where((_, i) => i != free)]);
        return others > 0 && count % others == 0
            ? count / others
            : throw node.Invalid($"{count} values do not have the shape [{string.Join(", ", sizes)}]");
    }

    /// <summary>The product of sizes; −1 if one is negative, or if it is more than an array can have.</summary>
    static long Product(ReadOnlySpan<long> sizes)
    {
        long product = 1;
        foreach (long size in sizes)
        {
            if (size is < 0 or > int.MaxValue || (product *= size) > int.MaxValue)
                return -1;
        }
        return product;
    }

    Operand Squeeze()
    {
        if (In(1) is not (null or Constant))
            return Fail("its axes are computed");
        long[]? axes = In(1) is Constant given ? Integers(given) : node.Ints("axes");
        switch (In(0))
        {
            case Sizes sizes:
                return sizes.Items.Length == 1
                    ? new Sizes(sizes.Items, isScalar: true)
                    : Fail("it makes a number of several sizes");
            case Constant constant:
                return Reshaped(
                    constant, [.. Left(constant.Dimensions.Length, axis => constant.Dimensions[axis])
                        .Select(axis => (long)constant.Dimensions[axis])]);
            case Value { Moved: null } x:
                return axes?.Any(axis => x[AxisOf(axis, x.Rank)] is null) == true
                    ? Fail("it removes the batch")
                    : WithDimensions(x, Left(x.Rank, axis => x[axis]));
            default:
                return Fail("it reads a value that was transposed and flattened");
        }

        int[] Left(int rank, Func<int, int?> sizeOf)
        {
            HashSet<int>? gone = axes?.Select(axis => AxisOf(axis, rank)).ToHashSet();
            foreach (int axis in gone ?? [])
            {
                if (sizeOf(axis) != 1)
                    throw node.Invalid($"a dimension of {sizeOf(axis)} is removed");
            }
            return [.. Enumerable.Range(0, rank).Where(axis => !gone?.Contains(axis) ?? sizeOf(axis) != 1)];
        }
    }

    Operand Unsqueeze()
    {
        if (In(1) is not (null or Constant))
            return Fail("its axes are computed");
        if ((In(1) is Constant given ? Integers(given) : node.Ints("axes")) is not { Length: > 0 } axes)
            throw node.Invalid("there are no axes");
        return In(0) switch
        {
            Sizes { IsScalar: true } size when axes is [0 or -1] => new Sizes(size.Items),
            Constant constant => Reshaped(
                constant, [.. Kept(constant.Dimensions.Length)
                    .Select(axis => axis < 0 ? 1L : constant.Dimensions[axis])]),
            Value { Moved: null } x => WithDimensions(x, Kept(x.Rank)),
            _ => Fail("it reads sizes, or a value that was transposed and flattened"),
        };

        // For each dimension, which one of the operand's it is; −1 for a new one.
        int[] Kept(int rank)
        {
            int all = rank + axes.Length, next = 0;
            if (all > OnnxTensor.MostDimensions)
                throw TooMany(all);
            HashSet<int> added = [.. axes.Select(axis => AxisOf(axis, all))];
            if (added.Count != axes.Length)
                throw node.Invalid("an axis occurs twice");
            return [.. Enumerable.Range(0, all).Select(axis => added.Contains(axis) ? -1 : next++)];
        }
    }

    InvalidDataException TooMany(int dimensions) => node.Invalid(
        $"there are {dimensions} dimensions, and at most {OnnxTensor.MostDimensions} are read");

    /// <summary>A value with some of its dimensions, in their order, and new ones of size 1 between them.</summary>
    /// <param name="x">The value.</param>
    /// <param name="axes">For each dimension, which one of the value's it is; −1 for a new one.</param>
    Operand WithDimensions(Value x, int[] axes)
    {
        if (axes.Count(axis => axis >= 0 && x.Order[axis] == 0) != 1 || axes[0] < 0 || x.Order[axes[0]] != 0)
            return Fail("it moves the batch");
        // Where the kept dimensions lie in memory, with those of size 1 that are added put at the end.
        int[] kept = [.. axes.Where(axis => axis >= 0 && x.Order[axis] > 0).Select(axis => x.Order[axis]).Order()];
        var shape = new List<int>(kept.Select(axis => x.Shape[axis - 1]));
        var order = new List<int>();
        foreach (int axis in axes)
        {
            if (axis >= 0)
            {
                order.Add(x.Order[axis] == 0 ? 0 : Array.IndexOf(kept, x.Order[axis]) + 1);
                continue;
            }
            shape.Add(1);
            order.Add(shape.Count);
        }
        return new Value(x.Term, [.. shape], [.. order]) { IsShared = x.IsShared, Viewer = node };
    }

    Operand Transpose()
    {
        int rank = In(0) switch { Constant c => c.Dimensions.Length, Value v => v.Rank, _ => -1 };
        if (rank < 0)
            return Fail("it reads sizes");
        long[] given = node.Ints("perm") is { Length: > 0 } perm
            ? perm
            : [.. Enumerable.Range(0, rank).Reverse().Select(axis => (long)axis)];
        if (!given.Order().SequenceEqual(Enumerable.Range(0, rank).Select(axis => (long)axis)))
            throw node.Wrong("perm", $"the {rank} dimensions in some order");
        int[] permutation = Array.ConvertAll(given, axis => (int)axis);
        return In(0) switch
        {
            Constant constant => constant.Transposed(permutation),
            Value { Moved: null } value => value.Transposed(permutation),
            _ => Fail("it reads a value that was transposed and flattened"),
        };
    }

    Operand Concat()
    {
        Operand?[] inputs = [.. Enumerable.Range(0, node.Inputs.Count).Select(In)];
        if (inputs.Any(input => input is Sizes))
        {
            long?[]?[] sizes = Array.ConvertAll(inputs, SizesOf);
            int count = sizes.Sum(each => each?.Length ?? 0);
            return sizes.Contains(null) ? Fail("it puts sizes and other values together")
                : count <= OnnxTensor.MostDimensions ? new Sizes([.. sizes.SelectMany(each => each!)])
                : throw TooMany(count);
        }
        if (inputs.Length == 0 || !inputs.All(input => input is Value))
            return Fail("it reads constants");
        Value[] values = [.. inputs.Cast<Value>()];
        Value first = values[0];
        int axis = AxisOf(node.Int("axis", 1), first.Rank);
        if (values.Length == 1)
            return first;
        if (first.Order[axis] != 1 || values.Any(value => value.Moved is not null
            || !value.Order.SequenceEqual(first.Order) || !value.Shape[1..].SequenceEqual(first.Shape[1..])))
            return Fail("it is not along the channels, or of values of different shapes");
        Term?[] terms = Array.ConvertAll(values, Settle);
        if (terms.Contains(null))
            return Fail("it reads values whose shapes have changed");
        if (terms.Any(term => term!.Shape.Rank == 1))
            terms = [.. terms.Select((term, i) => Flattened(term!, values[i].Viewer))];
        long channels = values.Sum(value => (long)value.Shape[0]);
        return new Value(
            Layer(new ConcatLayer(), [.. terms!]), [Small(channels), .. first.Shape[1..]], first.Order);
    }

    /// <summary>An axis counted from the front.</summary>
    int AxisOf(long axis, int rank) => axis >= -rank && axis < rank
        ? (int)(axis < 0 ? axis + rank : axis)
        : throw node.Invalid($"there is an axis {axis} of {rank}");

    /// <summary>Sizes that a node reads, from a value or a constant; null for anything else.</summary>
    long?[]? SizesOf(Operand? operand) => operand switch
    {
        Sizes sizes => [.. sizes.Items],
        Constant { Dimensions.Length: <= 1 } constant =>
            constant.Count <= OnnxTensor.MostDimensions
                ? [.. Integers(constant).Select(size => (long?)size)]
                : throw TooMany(constant.Count),
        _ => null,
    };

    Operand Shape()
    {
        if (In(0) is not Value x)
            return Fail("it reads a constant");
        int start = Clamped(node.Int("start", 0), x.Rank), end = Clamped(node.Int("end", x.Rank), x.Rank);
        return new Sizes([.. Enumerable.Range(0, x.Rank).Where(axis => axis >= start && axis < end)
            .Select(axis => (long?)x[axis])]);
    }

    Operand Gather()
    {
        if (In(0) is not Sizes { IsScalar: false } sizes || In(1) is not Constant index
            || index.Dimensions.Length > 1)
            return Fail("it does not take some of a value's sizes");
        long[] places = Integers(index);
        if (places.Length > OnnxTensor.MostDimensions)
            throw TooMany(places.Length);
        return new Sizes(
            [.. places.Select(place => sizes.Items[AxisOf(place, sizes.Items.Length)])],
            isScalar: index.Dimensions.IsEmpty);
    }

    Operand Slice()
    {
        (long[]? starts, long[]? ends) = opSet < 10
            ? (node.Ints("starts"), node.Ints("ends"))
            : (In(1) is Constant first ? Integers(first) : null, In(2) is Constant last ? Integers(last) : null);
        if (In(0) is not Sizes { IsScalar: false } sizes || starts is not [var start] || ends is not [var end]
            || In(4) is { } step && (step is not Constant known || Integers(known) is not [1]))
            return Fail("it does not take some of a value's sizes");
        int count = sizes.Items.Length, from = Clamped(start, count), to = Clamped(end, count);
        return new Sizes(to > from ? sizes.Items[from..to] : []);
    }

    /// <summary>A place counted from the front, within so many.</summary>
    static int Clamped(long place, int count) => (int)Math.Clamp(place < 0 ? place + count : place, 0, count);
}
