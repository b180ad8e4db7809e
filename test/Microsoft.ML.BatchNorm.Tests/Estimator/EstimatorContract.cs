using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.BatchNorm.Tests.Estimator;

/// <summary>What ML.NET asks of every estimator and of the transformer that it fits.</summary>
static class EstimatorContract
{
    /// <param name="estimator">The estimator; fitting it twice must give the same values.</param>
    /// <param name="validFit">Data that the estimator fits and the transformer transforms.</param>
    /// <param name="validTransform">
    /// Data that the transformer transforms, whether or not the estimator can fit it.
    /// </param>
    /// <param name="invalid">
    /// Data whose schema fails everywhere: ML.NET's schema mismatch, before anything is read.
    /// </param>
    public static void Check(
        IEstimator<ITransformer> estimator, IDataView validFit, IDataView validTransform, params IDataView[] invalid)
    {
        foreach (IDataView wrong in invalid)
        {
            var unread = new UnreadableView(wrong);
            AssertMismatch(() => estimator.GetOutputSchema(SchemaShape.Create(wrong.Schema)));
            AssertMismatch(() => estimator.Fit(unread));
        }

        ITransformer transformer = estimator.Fit(validFit);
        ITransformer loaded = Reload(transformer, validFit.Schema);
        CheckPromise(estimator.GetOutputSchema(SchemaShape.Create(validFit.Schema)), transformer, validFit.Schema);
        foreach (IDataView valid in (IDataView[])[validFit, validTransform])
            CheckTransform(transformer, loaded, valid);
        CollectionAssert.AreEqual(
            Table.Values(transformer.Transform(validFit)), Table.Values(estimator.Fit(validFit).Transform(validFit)),
            "A second fit gives other values.");

        foreach (ITransformer fitted in (ITransformer[])[transformer, loaded])
        {
            foreach (IDataView wrong in invalid)
            {
                AssertMismatch(() => fitted.GetOutputSchema(wrong.Schema));
                AssertMismatch(() => fitted.Transform(new UnreadableView(wrong)));
                AssertMismatch(() => fitted.GetRowToRowMapper(wrong.Schema));
            }
        }
    }

    /// <summary>The promised and the delivered columns are each what the other demands, annotations and all.</summary>
    static void CheckPromise(SchemaShape promised, ITransformer transformer, DataViewSchema input)
    {
        SchemaShape delivered = SchemaShape.Create(transformer.GetOutputSchema(input));
        CollectionAssert.AreEquivalent(
            delivered.Select(column => column.Name).ToArray(), promised.Select(column => column.Name).ToArray());
        foreach (SchemaShape.Column column in promised)
        {
            Assert.IsTrue(delivered.TryFindColumn(column.Name, out SchemaShape.Column given));
            Assert.IsTrue(column.IsCompatibleWith(given), $"'{column.Name}' is promised, with more than is delivered.");
            Assert.IsTrue(given.IsCompatibleWith(column), $"'{column.Name}' is delivered, with more than is promised.");
        }
    }

    static void CheckTransform(ITransformer transformer, ITransformer loaded, IDataView data)
    {
        string[] schema = Table.Schema(transformer.GetOutputSchema(data.Schema));
        CollectionAssert.AreEqual(schema, Table.Schema(transformer.Transform(new UnreadableView(data)).Schema));
        CollectionAssert.AreEqual(schema, Table.Schema(loaded.GetOutputSchema(data.Schema)));
        CollectionAssert.AreEqual(schema, Table.Schema(loaded.Transform(data).Schema));
        CheckMapper(transformer, data, schema);
        CollectionAssert.AreEqual(
            Table.Values(transformer.Transform(data)), Table.Values(loaded.Transform(data)),
            "The loaded transformer gives other values.");
    }

    static void CheckMapper(ITransformer transformer, IDataView data, string[] schema)
    {
        if (!transformer.IsRowToRowMapper)
        {
            Assert.Throws<Exception>(() => transformer.GetRowToRowMapper(data.Schema));
            return;
        }
        IRowToRowMapper mapper = transformer.GetRowToRowMapper(data.Schema);
        Assert.AreSame(data.Schema, mapper.InputSchema);
        CollectionAssert.AreEqual(schema, Table.Schema(mapper.OutputSchema));
    }

    static ITransformer Reload(ITransformer transformer, DataViewSchema schema)
    {
        var stream = new MemoryStream();
        View.ML.Model.Save(transformer, schema, stream);
        stream.Position = 0;
        ITransformer loaded = new MLContext().Model.Load(stream, out DataViewSchema loadedSchema);
        CollectionAssert.AreEqual(Table.Schema(schema), Table.Schema(loadedSchema));
        return loaded;
    }

    static void AssertMismatch(Action action)
    {
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(action);
        StringAssert.Contains(error.Message, "column");
        Assert.IsTrue(error.IsMarked(), "The error is not ML.NET's.");
    }
}
