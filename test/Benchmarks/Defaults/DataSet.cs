using System.Globalization;
using System.IO.Compression;
using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>What a label is, and with that which trainers there are and what is measured.</summary>
enum Problem
{
    /// <summary>Several classes; the share of rows whose class is found.</summary>
    Multiclass,

    /// <summary>Two classes; the share of rows whose class is found.</summary>
    Binary,

    /// <summary>A number; R².</summary>
    Regression,
}

/// <summary>Rows with a label, from a file of the samples or the tests or made by a formula.</summary>
sealed record DataSet(string Name, Problem Problem, IReadOnlyList<LabeledRow> Rows)
{
    const int Houses = 2000;

    public static IReadOnlyList<DataSet> All { get; } =
    [
        FromFile("iris", "iris.csv", Problem.Multiclass), FromFile("wine", "wine.csv", Problem.Multiclass),
        FromFile("breast cancer", "breast_cancer.csv", Problem.Binary),
        FromFile("digits", "digits.csv.gz", Problem.Multiclass),
        new("houses", Problem.Regression, MakeHouses()),
        new("Friedman 1, 200 rows", Problem.Regression, MakeFriedman(200)),
        new("Friedman 1, 1,000 rows", Problem.Regression, MakeFriedman(1000)),
        new("checkerboard", Problem.Binary, MakeCheckerboard()) { MayLose = true },
        new("spirals", Problem.Binary, MakeSpirals()) { MayLose = true },
        new("counts of words", Problem.Binary, MakeWords()) { MayLose = true },
    ];

    /// <summary>Whether the rows show on what kind of data the network trainers are not the best choice.</summary>
    public bool MayLose { get; init; }

    int Classes => 1 + (int)Rows.Max(row => row.Value);

    /// <summary>The rows of a part of the data.</summary>
    public IDataView View(MLContext context, IEnumerable<int> rows)
    {
        var schema = SchemaDefinition.Create(typeof(LabeledRow));
        schema[nameof(LabeledRow.Features)].ColumnType =
            new VectorDataViewType(NumberDataViewType.Single, Rows[0].Features.Length);
        if (Problem == Problem.Multiclass)
            schema[nameof(LabeledRow.Key)].ColumnType = new KeyDataViewType(typeof(uint), Classes);
        return context.Data.LoadFromEnumerable(rows.Select(row => Rows[row]).ToArray(), schema);
    }

    static DataSet FromFile(string name, string file, Problem task)
    {
        using FileStream packed = File.OpenRead(Path.Combine(AppContext.BaseDirectory, "data", file));
        bool isPacked = file.EndsWith(".gz", StringComparison.Ordinal);
        using var reader = new StreamReader(isPacked ? new GZipStream(packed, CompressionMode.Decompress) : packed);
        // The first line of a file that is not packed counts rows and columns and names the classes.
        float[][] rows = [.. reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Skip(isPacked ? 0 : 1)
            .Select(line => line.Split(',').Select(
                text => float.Parse(text, CultureInfo.InvariantCulture)).ToArray())];
        return new DataSet(name, task, [.. rows.Select(row => new LabeledRow(row[..^1], row[^1]))]);
    }

    /// <summary>
    /// Area, rooms, age and one of four districts; prices from 100,000 to 650,000. The houses of the test of labels in
    /// any unit.
    /// </summary>
    static LabeledRow[] MakeHouses()
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, Houses).Select(_ =>
        {
            double area = 40 + 160 * random.NextDouble(), age = 80 * random.NextDouble();
            int rooms = 1 + (int)(area / 35 + random.NextDouble()), district = random.Next(4);
            double price = 60_000 + 2200 * area + 6000 * rooms - 900 * age + 35_000 * district
                + 4000 * (random.NextDouble() - 0.5);
            float[] features = [(float)area, rooms, (float)age, 0, 0, 0, 0];
            features[3 + district] = 1;
            return new LabeledRow(features, (float)price);
        })];
    }

    /// <summary>
    /// <c>10 sin(π x₁x₂) + 20 (x₃ − ½)² + 10 x₄ + 5 x₅</c> and noise of deviation 1, with five more features that mean
    /// nothing, all from 0 to 1 (Friedman, 1991). No prediction can have an R² above 0.96.
    /// </summary>
    static LabeledRow[] MakeFriedman(int rows)
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, rows).Select(_ =>
        {
            float[] x = [.. Enumerable.Range(0, 10).Select(_ => random.NextSingle())];
            double noise =
                Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
            return new LabeledRow(
                x, (float)(10 * Math.Sin(Math.PI * x[0] * x[1]) + 20 * (x[2] - 0.5) * (x[2] - 0.5) + 10 * x[3]
                    + 5 * x[4] + noise));
        })];
    }

    /// <summary>The color of the field of a board of 4 by 4, by two of ten features from 0 to 1.</summary>
    static LabeledRow[] MakeCheckerboard()
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, 1000).Select(_ =>
        {
            float[] x = [.. Enumerable.Range(0, 10).Select(_ => random.NextSingle())];
            return new LabeledRow(x, ((int)(4 * x[0]) + (int)(4 * x[1])) % 2);
        })];
    }

    /// <summary>Two spirals of one turn and a half around each other, a third of the distance between them thick.</summary>
    static LabeledRow[] MakeSpirals()
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, 1000).Select(row =>
        {
            double turns = 0.25 + 1.25 * random.NextDouble(), angle = 2 * Math.PI * turns + Math.PI * (row % 2);
            double radius = turns + (random.NextDouble() - 0.5) / 6;
            return new LabeledRow([(float)(radius * Math.Cos(angle)), (float)(radius * Math.Sin(angle))], row % 2);
        })];
    }

    /// <summary>
    /// How often 1,000 words occur in texts of 60 words, the k-th in proportion to 1/k; in texts of class 1 every
    /// seventh of the words from the tenth on is three times as frequent.
    /// </summary>
    static LabeledRow[] MakeWords()
    {
        const int Words = 1000;
        var random = new Random(1);
        double[][] upTo = [.. Enumerable.Range(0, 2).Select(label =>
        {
            double[] sums = new double[Words];
            for (int word = 0; word < Words; word++)
                sums[word] = (word == 0 ? 0 : sums[word - 1])
                    + (label == 1 && word >= 10 && word % 7 == 3 ? 3.0 : 1.0) / (word + 1);
            return sums;
        })];
        return [.. Enumerable.Range(0, 600).Select(row =>
        {
            double[] sums = upTo[row % 2];
            float[] counts = new float[Words];
            for (int i = 0; i < 60; i++)
            {
                int place = Array.BinarySearch(sums, sums[^1] * random.NextDouble());
                counts[place < 0 ? ~place : place]++;
            }
            return new LabeledRow(counts, row % 2);
        })];
    }
}

/// <summary>A row, with its label as each task wants it.</summary>
sealed class LabeledRow(float[] features, float value)
{
    public float[] Features { get; } = features;

    public float Value { get; } = value;

    /// <summary>From 0: ML.NET adds the 1 of its keys when it reads the row.</summary>
    public uint Key => (uint)Value;

    public bool IsOne => Value == 1;
}
