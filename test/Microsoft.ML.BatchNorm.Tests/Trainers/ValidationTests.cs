
namespace Microsoft.ML.BatchNorm.Tests.Trainers;

[TestClass]
public class ValidationTests
{
    static readonly MLContext context = new(1);

    static readonly IDataView Rows = Blobs.View(context), Others = Blobs.View(context, count: 60, seed: 9);

    [TestMethod]
    public void Each_epoch_is_validated_with_rows_of_their_own()
    {
        string[] validated = Epochs(context => Blobs.Multiclass(context).Fit(Rows, Others));
        Assert.HasCount(10, validated);
        Assert.IsTrue(validated.All(message => message.Contains("validation loss", StringComparison.Ordinal)));
        string[] plain = Epochs(context => Blobs.Multiclass(context).Fit(Rows));
        Assert.IsTrue(plain.All(message => !message.Contains("validation loss", StringComparison.Ordinal)));
        string[] split =
            Epochs(context => Blobs.Multiclass(context, options => options.ValidationSplit = 0.2).Fit(Rows));
        Assert.IsTrue(split.All(message => message.Contains("validation loss", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void The_options_rows_are_the_argument_s()
    {
        NetworkState expected = Stopping().Fit(Rows, Others).Model.State;
        Assert.AreEqual(expected, Stopping(Others).Fit(Rows).Model.State);
        // Rows of other classes than they should be end the run at once.
        IDataView wrong = Blobs.Keyed(context, Blobs.Rows(60).Select((row, i) =>
        {
            row.Color = Blobs.Names[(i + 1) % 3];
            return row;
        }));
        Assert.AreNotEqual(expected, Stopping(wrong).Fit(Rows).Model.State);
    }

    [TestMethod]
    public void Validation_ends_the_run_early()
    {
        string[] epochs = Epochs(context => Blobs.Multiclass(context, options =>
        {
            options.Epochs = 500;
            options.Optimizer = Optimizer.Adam(0.05);
            options.EarlyStopping = new EarlyStopping { Patience = 2 };
            options.ValidationSplit = 0.3;
        }).Fit(Rows));
        Assert.IsTrue(epochs.Length < 500, $"{epochs.Length} epochs");
    }

    [TestMethod]
    public void Columns_that_validation_rows_lack_or_that_differ_are_schema_mismatches()
    {
        IDataView without = context.Transforms.DropColumns("Features").Fit(Others).Transform(Others);
        IDataView wide =
            context.Transforms.Concatenate("Features", "Features", "Features").Fit(Others).Transform(Others);
        foreach (IDataView wrong in (IDataView[])[without, wide])
        {
            foreach (Action fit in (Action[])
                [
                    () => Blobs.Multiclass(context).Fit(Rows, wrong),
                    () => Blobs.Multiclass(context, options => options.ValidationData = wrong).Fit(Rows),
                ])
            {
                var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(fit);
                StringAssert.Contains(error.Message, "column 'Features'");
            }
        }
    }

    [TestMethod]
    public void Validation_data_without_a_column_is_named_with_what_to_do()
    {
        IDataView without = context.Transforms.DropColumns("Features").Fit(Others).Transform(Others);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Blobs.Multiclass(
                context, options => options.ValidationData = without).Fit(Rows)).Message,
            "ValidationData has no column 'Features'. Give rows that have been through the steps before the trainer");
    }

    static ML.Trainers.BatchNormNetworkMulticlassTrainer Stopping(IDataView? validation = null) =>
        Blobs.Multiclass(context, options =>
        {
            options.Epochs = 40;
            options.Optimizer = Optimizer.Adam(0.05);
            options.ValidationSplit = validation is null ? 0.1 : 0;
            options.EarlyStopping = new EarlyStopping { Patience = 1 };
            options.ValidationData = validation;
        });

    static string[] Epochs(Action<MLContext> train)
    {
        var context = new MLContext(1);
        List<string> messages = Messages.Of(context);
        train(context);
        return [.. messages.Where(message => message.StartsWith("Epoch ", StringComparison.Ordinal))];
    }
}
