using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>Every trainer keeps ML.NET's contract of estimators.</summary>
[TestClass]
public class TrainerContractTests
{
    static readonly IDataView Rows = Blobs.View(View.ML), More = Blobs.View(View.ML, count: 9, seed: 4);

    [TestMethod]
    public void Multiclass() => Check(Blobs.Multiclass(View.ML, options => options.Epochs = 1), "Label");

    [TestMethod]
    public void Binary() => Check(Blobs.Binary(View.ML, options => options.Epochs = 1), "IsRed");

    [TestMethod]
    public void Regression() => Check(Blobs.Regression(View.ML, options => options.Epochs = 1), "Value");

    [TestMethod]
    public void Weighted() => Check(
        Blobs.Multiclass(View.ML, options => (options.Epochs, options.ExampleWeightColumnName) = (1, "Weight")),
        "Label", "Weight");

    static void Check(IEstimator<ITransformer> trainer, params string[] columns)
    {
        EstimatorContract.Check(trainer, Rows, More);
        foreach (string column in (string[])["Features", .. columns])
        {
            foreach (IDataView wrong in Wrong(column))
            {
                var unread = new UnreadableView(wrong);
                AssertMismatch(() => trainer.GetOutputSchema(SchemaShape.Create(wrong.Schema)), column);
                AssertMismatch(() => trainer.Fit(unread), column);
            }
        }
        foreach (DataViewSchema wrong in WrongFeatures())
        {
            AssertMismatch(() => trainer.GetOutputSchema(SchemaShape.Create(wrong)), "Features");
            AssertMismatch(() => trainer.Fit(new UnreadableView(wrong)), "Features");
        }
        ITransformer model = trainer.Fit(Rows);
        foreach (IDataView wrong in Wrong("Features"))
        {
            AssertMismatch(() => model.GetOutputSchema(wrong.Schema), "Features");
            foreach (Action action in (Action[])
                [() => model.Transform(new UnreadableView(wrong)), () => model.GetRowToRowMapper(wrong.Schema)])
            {
                // The prediction transformer is ML.NET's own, and has errors of other types for the same thing.
                var error = Assert.Throws<Exception>(action);
                Assert.IsTrue(Runtime.Contracts.IsMarked(error), $"The error is not ML.NET's: {error.Message}");
            }
        }
    }

    /// <summary>The rows without a column, and with a column of that name that is text.</summary>
    static IEnumerable<IDataView> Wrong(string column)
    {
        yield return View.ML.Transforms.DropColumns(column).Fit(Rows).Transform(Rows);
        yield return View.ML.Transforms.CopyColumns(column, "Color").Fit(Rows).Transform(Rows);
    }

    /// <summary>The rows' schema with features that no network takes.</summary>
    static IEnumerable<DataViewSchema> WrongFeatures()
    {
        foreach (DataViewType type in (DataViewType[])
            [
                NumberDataViewType.Single, new VectorDataViewType(NumberDataViewType.Single),
                new VectorDataViewType(NumberDataViewType.Double, Blobs.Slots), new KeyDataViewType(typeof(uint), 3),
                new VectorDataViewType(new KeyDataViewType(typeof(uint), 3), Blobs.Slots),
            ])
        {
            var schema = new DataViewSchema.Builder();
            foreach (DataViewSchema.Column column in Rows.Schema)
                schema.AddColumn(column.Name, column.Name == "Features" ? type : column.Type, column.Annotations);
            yield return schema.ToSchema();
        }
    }

    static void AssertMismatch(Action action, string column)
    {
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(action);
        StringAssert.Contains(error.Message, $"column '{column}'");
        Assert.IsTrue(Runtime.Contracts.IsMarked(error), "The error is not ML.NET's.");
    }
}
