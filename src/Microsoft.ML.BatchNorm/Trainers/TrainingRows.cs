using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Trainers;

/// <summary>
/// Reads the rows that a network is trained on into memory, once. Rows without a label, with a feature that is not
/// finite, or whose weight is not positive and finite are left out, as ML.NET's trainers leave them out.
/// </summary>
sealed class TrainingRows
{
    const int LeastCapacity = 256;

    readonly IHost host;
    readonly DataViewSchema.Column feature;
    readonly int length;
    readonly bool isWeighted;
    readonly NonFinite nonFinite;
    float[] features, targets, weights;
    int rows;
    long unlabeled, unweighted, incomplete;

    TrainingRows(IHost host, RoleMappedData data, NonFinite nonFinite)
    {
        (this.host, this.nonFinite) = (host, nonFinite);
        feature = data.Schema.Feature!.Value;
        length = feature.Type.GetVectorSize();
        isWeighted = data.Schema.Weight.HasValue;
        int capacity = (int)Math.Clamp(data.Data.GetRowCount() ?? LeastCapacity, 1, MostRows);
        features = new float[capacity * length];
        targets = new float[capacity];
        weights = isWeighted ? new float[capacity] : [];
    }

    int MostRows => Array.MaxLength / length;

    /// <param name="host">Whose errors and cancellation it is.</param>
    /// <param name="channel">Is told how many rows were left out.</param>
    /// <param name="data">Data with checked feature, label and weight columns.</param>
    /// <param name="role">What the rows are for, in messages.</param>
    /// <param name="nonFinite">What becomes of a row with a feature that is not finite.</param>
    public static TrainingData Read(
        IHost host, IChannel channel, RoleMappedData data, string role, NonFinite nonFinite)
    {
        var rows = new TrainingRows(host, data, nonFinite);
        rows.Read(data);
        if (rows.unlabeled > 0)
            channel.Warning($"Skipped {rows.unlabeled} rows of the {role} data whose label is missing.");
        if (rows.unweighted > 0)
            channel.Warning(
                $"Skipped {rows.unweighted} rows of the {role} data whose weight is not positive and finite.");
        if (rows.incomplete > 0)
            channel.Warning(
                $"Skipped {rows.incomplete} rows of the {role} data with a missing value in column " +
                $"'{rows.feature.Name}' (NaN or infinite). NonFinite.Throw in the options makes that an error.");
        if (rows.rows == 0)
            throw host.Except(rows.unlabeled + rows.unweighted + rows.incomplete is var read and > 0
                ? $"The {role} data has no rows with a label, a weight and finite features: of {read} rows, " +
                    $"{rows.unlabeled} have no label, {rows.unweighted} no weight that is positive and finite, and " +
                    $"{rows.incomplete} a feature that is not finite."
                : $"The {role} data has no rows.");
        channel.Trace($"Read {rows.rows} rows of {rows.length} features.");
        return new TrainingData(
            rows.rows, rows.features.AsMemory(0, rows.rows * rows.length), rows.targets.AsMemory(0, rows.rows),
            rows.isWeighted ? rows.weights.AsMemory(0, rows.rows) : default);
    }

    void Read(RoleMappedData data)
    {
        DataViewSchema.Column label = data.Schema.Label!.Value;
        DataViewSchema.Column[] needed =
            data.Schema.Weight is { } column ? [feature, label, column] : [feature, label];
        using DataViewRowCursor cursor = data.Data.GetRowCursor(needed.Distinct());
        ValueGetter<float> getLabel = RowCursorUtils.GetLabelGetter(cursor, label.Index);
        ValueGetter<float>? getWeight = cursor.GetOptWeightFloatGetter(data);
        RowReader<float> reader = RowReader.Of<float>(host, cursor, feature, length);
        float target = 0, weight = 1;
        for (long seen = 0; cursor.MoveNext(); seen++)
        {
            if (seen % LeastCapacity == 0)
                host.CheckAlive();
            getLabel(ref target);
            if (!float.IsFinite(target))
            {
                unlabeled++;
                continue;
            }
            getWeight?.Invoke(ref weight);
            if (!(weight > 0 && float.IsFinite(weight)))
            {
                unweighted++;
                continue;
            }
            if (rows == targets.Length)
                Grow();
            reader.Target = features;
            reader.Read(rows);
            if (!IsFinite(features.AsSpan(rows * length, length), cursor.Position))
            {
                incomplete++;
                continue;
            }
            targets[rows] = target;
            if (isWeighted)
                weights[rows] = weight;
            rows++;
        }
    }

    void Grow()
    {
        if (rows >= MostRows)
            throw host.Except($"There are more than {MostRows} rows, the most of {length} features in an array.");
        int capacity = (int)Math.Min(2L * rows, MostRows);
        Array.Resize(ref features, capacity * length);
        Array.Resize(ref targets, capacity);
        if (isWeighted)
            Array.Resize(ref weights, capacity);
    }

    bool IsFinite(ReadOnlySpan<float> row, long position)
    {
        int slot = FiniteSearch.IndexOfNonFinite(row);
        if (slot >= 0 && nonFinite == NonFinite.Throw)
            throw host.Except(NonFiniteRow.Describe(
                feature, row, position,
                "or set NonFinite.Ignore in the trainer's options, which leaves such rows out")!);
        return slot < 0;
    }
}
