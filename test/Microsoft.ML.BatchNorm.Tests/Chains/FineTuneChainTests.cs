using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Fitting;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using static Microsoft.ML.BatchNorm.Tests.Chains.Chain;

namespace Microsoft.ML.BatchNorm.Tests.Chains;

/// <summary>Fine-tuning moves the layers of a whole chain, to the bits of the chain split by hand.</summary>
[TestClass]
public class FineTuneChainTests
{
    static IEnumerable<object[]> Usuals => [["fitted", UsualModel], ["loaded", Loaded(UsualModel)]];

    [TestMethod]
    [DynamicData(nameof(Usuals))]
    public void The_usual_chain_is_that_split_by_hand(string name, ITransformer model)
    {
        ITransformer[] steps = [.. (IEnumerable<ITransformer>)model];
        var layer = (BatchNormalizationTransformer)steps[1];
        BatchNormalizationTransformer expected = layer.FineTune(Behind(steps, 1, New));
        ITransformer tuned = model.FineTuneBatchNormalization(New);
        Persistence.Model.AssertSame(expected, Layers(tuned).Single());
        Assert.AreEqual(480, Layers(tuned).Single().GetState("Features").GetPopulation()!.Count[0], name);
        Assert.AreEqual(Shape(model), Shape(tuned));
        steps[1] = expected;
        var byHand = new TransformerChain<ITransformer>(steps, ((ITransformerChainAccessor)model).Scopes);
        CollectionAssert.AreEqual(Table.Values(byHand.Transform(New)), Table.Values(tuned.Transform(New)));
        // The model itself stays as it was, and what is saved is read again.
        Assert.AreEqual(240, layer.GetState("Features").GetPopulation()!.Count[0]);
        AssertSameLayers(tuned, Loaded(tuned));
        Assert.AreEqual(Shape(Loaded(model)), Shape(Loaded(tuned)));
        foreach ((ITransformer before, ITransformer after) in
            ((IEnumerable<ITransformer>)model).Zip((IEnumerable<ITransformer>)tuned))
        {
            Assert.AreEqual(before is not BatchNormalizationTransformer, ReferenceEquals(before, after));
        }
    }

    [TestMethod]
    public void Fitting_on_goes_to_the_statistics_of_all_rows()
    {
        BatchNormalizationState tuned =
            Layers(UsualModel.FineTuneBatchNormalization(New)).Single().GetState("Features");
        IDataView both = Context.Data.LoadFromEnumerable(
            Context.Data.CreateEnumerable<Row>(Train, false).Concat(Context.Data.CreateEnumerable<Row>(New, false)));
        BatchNormalizationState all = Context.Transforms.Concatenate("Features", "A", "B").Append(Layer("Features"))
            .Fit(both).LastTransformer.GetState("Features");
        for (int c = 0; c < 3; c++)
        {
            Assert.AreEqual(all.MovingMean[c], tuned.MovingMean[c], 1e-12);
            Assert.AreEqual(all.MovingVariance[c], tuned.MovingVariance[c], 1e-10);
        }
    }

    [TestMethod]
    public void Of_two_layers_the_second_gets_what_the_first_now_gives()
    {
        var model = Context.Transforms.Concatenate("F", "A", "B").Append(Layer("F"))
            .Append(Context.Transforms.CopyColumns("G", "F"))
            .Append(Layer("G", null, options => options.Layer = new() { Momentum = 0.5 })).Fit(Train);
        foreach (ITransformer chain in (ITransformer[])[model, Loaded(model)])
        {
            ITransformer[] steps = [.. (IEnumerable<ITransformer>)chain];
            steps[1] = ((BatchNormalizationTransformer)steps[1]).FineTune(Behind(steps, 1, New));
            steps[3] = ((BatchNormalizationTransformer)steps[3]).FineTune(Behind(steps, 3, New));
            AssertSameLayers(new TransformerChain<ITransformer>(steps), chain.FineTuneBatchNormalization(New));
        }
    }

    [TestMethod]
    public void The_type_of_a_chain_its_nesting_and_its_scopes_stay()
    {
        TransformerChain<BatchNormalizationTransformer> inner =
            Context.Transforms.Concatenate("F", "A", "B").Append(Layer("F"), TransformerScope.Scoring).Fit(Train);
        TransformerChain<TransformerChain<BatchNormalizationTransformer>> model = new TransformerChain<ITransformer>()
            .Append(Context.Transforms.CopyColumns("C", "A").Fit(Train), TransformerScope.Training).Append(inner);
        TransformerChain<TransformerChain<BatchNormalizationTransformer>> tuned = model.FineTuneBatchNormalization(New);
        Assert.AreEqual(Shape(model), Shape(tuned));
        StringAssert.Contains(Shape(tuned), "BatchNormalizationTransformer Scoring");
        StringAssert.Contains(Shape(tuned), "ColumnCopyingTransformer Training");
        Persistence.Model.AssertSame(
            inner.LastTransformer.FineTune(Behind(inner, 1, New)), tuned.LastTransformer.LastTransformer);
        TransformerChain<TransformerChain<BatchNormalizationTransformer>> frozen = tuned.FreezeBatchNormalization();
        Assert.IsFalse(frozen.LastTransformer.LastTransformer.Columns[0].Options.Trainable);
        Assert.AreEqual(Shape(model), Shape(frozen));
    }

    [TestMethod]
    public void Layers_deep_in_chains_within_chains_are_moved_in_order()
    {
        TransformsCatalog transforms = Context.Transforms;
        BatchNormalizationTransformer a = transforms.BatchNormalization("X", "A").Fit(Train);
        BatchNormalizationTransformer b = transforms.BatchNormalization("Y", "X").Fit(a.Transform(Train));
        BatchNormalizationTransformer c = transforms.BatchNormalization("Z", "Y").Fit(b.Transform(a.Transform(Train)));
        ITransformer model = new TransformerChain<ITransformer>(
            new TransformerChain<ITransformer>(),
            new TransformerChain<ITransformer>(new TransformerChain<ITransformer>(a)),
            new TransformerChain<ITransformer>(b, new TransformerChain<ITransformer>(c)));
        foreach (ITransformer chain in (ITransformer[])[model, Loaded(model)])
        {
            BatchNormalizationTransformer[] layers = Layers(chain);
            BatchNormalizationTransformer first = layers[0].FineTune(New);
            BatchNormalizationTransformer second = layers[1].FineTune(first.Transform(New));
            BatchNormalizationTransformer third = layers[2].FineTune(second.Transform(first.Transform(New)));
            ITransformer tuned = chain.FineTuneBatchNormalization(New);
            AssertSameLayers(new TransformerChain<ITransformer>(first, second, third), tuned);
            Assert.AreEqual(Shape(chain), Shape(tuned));
        }
    }

    [TestMethod]
    public void A_single_layer_is_a_model_too()
    {
        BatchNormalizationTransformer layer = Layer("Y", "A").Fit(Train);
        BatchNormalizationTransformer tuned = layer.FineTuneBatchNormalization(New);
        Persistence.Model.AssertSame(layer.FineTune(New), tuned);
        ITransformer any = layer;
        Persistence.Model.AssertSame(tuned, (BatchNormalizationTransformer)any.FineTuneBatchNormalization(New));
    }

    [TestMethod]
    public void Only_the_layers_and_columns_that_are_named_move()
    {
        var model = Context.Transforms.BatchNormalization([new("P", "A"), new("Q", "B")]).Append(Layer("R", "P"))
            .Append(Layer("S", "P")).Fit(Train);
        BatchNormalizationTransformer[] layers = Layers(model);
        BatchNormalizationTransformer[] tuned = Layers(model.FineTuneBatchNormalization(New, "Q", "S"));
        BatchNormalizationTransformer whole = layers[0].FineTune(New);
        Assert.AreEqual(layers[0].GetState("P"), tuned[0].GetState("P"));
        Assert.AreEqual(whole.GetState("Q"), tuned[0].GetState("Q"));
        CollectionAssert.AreEqual(
            (string[])["P", "Q"], tuned[0].Columns.Select(column => column.OutputColumnName).ToArray());
        Assert.AreSame(layers[1], tuned[1]);
        // P has not moved, so the last layer gets what it gave before.
        Assert.AreEqual(layers[2].FineTune(layers[0].Transform(New)).GetState("S"), tuned[2].GetState("S"));
    }

    [TestMethod]
    public void A_name_that_two_layers_have_is_both_and_numbered_it_is_one()
    {
        var model = Context.Transforms.Concatenate("F", "A", "B").Append(Layer("F"))
            .Append(Context.Transforms.NormalizeMinMax("F")).Append(Layer("F")).Fit(Train);
        (double First, double Second) Counts(params string[] names)
        {
            BatchNormalizationTransformer[] layers = Layers(model.FineTuneBatchNormalization(New, names));
            return (Count(layers[0]), Count(layers[1]));
        }
        Assert.AreEqual((480, 480), Counts());
        Assert.AreEqual((480, 480), Counts("F"));
        Assert.AreEqual((480, 240), Counts("F#1"));
        Assert.AreEqual((240, 480), Counts("F#2"));
        Assert.AreEqual((480, 480), Counts("F#2", "F#1"));

        static double Count(BatchNormalizationTransformer layer) => layer.GetState("F").GetPopulation()!.Count[0];
    }

    [TestMethod]
    public void A_model_without_a_layer_and_a_name_without_one_are_errors_that_say_so()
    {
        ITransformer none = Context.Transforms.CopyColumns("C", "A").Fit(Train);
        foreach (ITransformer model in (ITransformer[])
            [none, new TransformerChain<ITransformer>(), new TransformerChain<ITransformer>(none)])
        {
            foreach (Action call in Calls(model))
            {
                var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(call);
                StringAssert.Contains(error.Message, "has no batch normalization layer");
            }
        }
        ITransformer two = Context.Transforms.BatchNormalization([new("P", "A"), new("Q", "B")])
            .Append(Layer("P")).Fit(Train);
        foreach (string unknown in (string[])["A", "p", "P#3", "", null!])
        {
            foreach (Action call in Calls(two, unknown))
            {
                var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(call);
                StringAssert.Contains(
                    error.Message, $"no batch normalization layer '{unknown}'; it has 'P#1', 'Q', 'P#2'.");
            }
        }
        foreach (Action call in Calls(null!).Concat(Calls(two, null!)))
            Assert.ThrowsExactly<ArgumentNullException>(call);
        Assert.ThrowsExactly<ArgumentNullException>(() => two.CompareStatistics(null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => _ = two.FineTuneBatchNormalization(null!));

        static Action[] Calls(ITransformer model, params string[] names) =>
        [
            () => _ = model.FineTuneBatchNormalization(New, names), () => _ = model.FreezeBatchNormalization(names),
            () => _ = model.UnfreezeBatchNormalization(names), () => model.CompareStatistics(New, names),
        ];
    }

    [TestMethod]
    public void A_frozen_layer_stays_with_the_warning_of_the_layer_and_the_others_move()
    {
        var context = new MLContext(1);
        var model = context.Transforms.BatchNormalization("P", "A")
            .Append(context.Transforms.BatchNormalization("Q", "B")).Fit(Train);
        List<string> warnings = Warnings.Of(context);
        var frozen = model.FreezeBatchNormalization("P");
        Assert.IsEmpty(warnings);
        BatchNormalizationTransformer[] before = Layers(model), tuned = Layers(frozen.FineTuneBatchNormalization(New));
        StringAssert.Contains(warnings.Single(), "Column 'P' is frozen");
        Assert.AreEqual(before[0].GetState("P"), tuned[0].GetState("P"));
        Assert.AreEqual(480, tuned[1].GetState("Q").GetPopulation()!.Count[0]);
        warnings.Clear();
        _ = frozen.FineTuneBatchNormalization(New, "Q");
        Assert.IsEmpty(warnings);
        tuned = Layers(frozen.UnfreezeBatchNormalization().FineTuneBatchNormalization(New));
        Assert.IsEmpty(warnings);
        Assert.AreEqual(480, tuned[0].GetState("P").GetPopulation()!.Count[0]);
    }

    [TestMethod]
    public void Freezing_is_by_column_and_is_saved()
    {
        var model = Context.Transforms.BatchNormalization([new("P", "A"), new("Q", "B")]).Append(Layer("R", "P"))
            .Fit(Train);
        Assert.AreEqual("True True True", Trainable(model));
        foreach (ITransformer frozen in (ITransformer[])
            [model.FreezeBatchNormalization("Q", "R"), Loaded(model.FreezeBatchNormalization("Q", "R"))])
        {
            Assert.AreEqual("True False False", Trainable(frozen));
            Assert.AreEqual("True True False", Trainable(frozen.UnfreezeBatchNormalization("Q")));
            Assert.AreEqual("True True True", Trainable(frozen.UnfreezeBatchNormalization()));
            Assert.AreEqual("False False False", Trainable(frozen.FreezeBatchNormalization()));
            AssertSameLayers(model, frozen.UnfreezeBatchNormalization());
        }

        static string Trainable(ITransformer model) => string.Join(
            ' ', Layers(model).SelectMany(layer => layer.Columns).Select(column => column.Options.Trainable));
    }

    [TestMethod]
    public void What_is_normalized_already_is_the_error_that_it_is_on_the_layer()
    {
        var model = Layer("A").Append(Context.Transforms.CopyColumns("C", "A")).Fit(Train);
        IDataView normalized = model.Transform(New);
        foreach (Action call in (Action[])
            [() => _ = model.FineTuneBatchNormalization(normalized), () => model.CompareStatistics(normalized)])
        {
            var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(call);
            StringAssert.Contains(error.Message, "marked as normalized");
        }
        // Behind a step that makes the column anew, nothing is normalized twice.
        IDataView transformed = UsualModel.Transform(New);
        AssertSameLayers(
            UsualModel.FineTuneBatchNormalization(New), UsualModel.FineTuneBatchNormalization(transformed));
    }

    [TestMethod]
    public void Rows_that_the_mask_hides_do_not_count()
    {
        var model = Context.Transforms.Concatenate("F", "A", "B")
            .Append(Layer("F", null, options => options.MaskColumnName = "Counts")).Fit(Train);
        ITransformer tuned = model.FineTuneBatchNormalization(New);
        Assert.AreEqual(360, Layers(tuned).Single().GetState("F").GetPopulation()!.Count[0]);
        Assert.AreEqual(180, model.CompareStatistics(New)["F"].Channels[0].Count);
        // As on the layer: to fit needs the mask, to compare does not.
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _ = model.FineTuneBatchNormalization(Unlabeled));
        Assert.AreEqual(240, model.CompareStatistics(Unlabeled)["F"].Channels[0].Count);
    }

    [TestMethod]
    public void It_reads_the_rows_once_per_layer_and_no_further_than_needed()
    {
        float[][] rows = View.Floats(300, 7, seed: 2);
        var model = Context.Transforms.CopyColumns("Z", "X").Append(Layer("Z")).Append(Layer("Y", "Z"))
            .Append(Context.Transforms.NormalizeMinMax("Y")).Fit(Fits.Vectors(rows));
        var view = new GeneratedView(7, rows.Length, (row, values) => rows[row].CopyTo(values));
        _ = model.FineTuneBatchNormalization(view);
        Assert.AreEqual((600, 2), (view.Read, view.Cursors.Item1));
    }

    [TestMethod]
    public void It_is_cancelled_by_a_token_and_by_the_context()
    {
        var context = new MLContext(1);
        using var source = new CancellationTokenSource();
        IDataView rows = Fits.Vectors([[1, 2], [3, 4], [5, 7]]);
        ITransformer model = context.Transforms.CopyColumns("Z", "X")
            .Append(context.Transforms.BatchNormalization("Z")).Append(context.Transforms.BatchNormalization("Y", "Z"))
            .Fit(rows);
        int pass = 0;
        var view = new GeneratedView(2, rows: null, (row, values) => values.Fill(row), row =>
        {
            if (row == 1050)
                source.Cancel();
        });
        Assert.ThrowsExactly<OperationCanceledException>(
            () => _ = model.FineTuneBatchNormalization(view, source.Token));
        Assert.AreEqual((1, 1), view.Cursors);
        Assert.ThrowsExactly<OperationCanceledException>(
            () => _ = model.FineTuneBatchNormalization(rows, source.Token, "Y"));
        // In the pass for the second layer, by the context.
        view = new GeneratedView(2, 3000, (row, values) => values.Fill(row), row =>
        {
            if (row == 0)
                pass++;
            if (row == 1050 && pass == 2)
                context.CancelExecution();
        });
        Assert.ThrowsExactly<OperationCanceledException>(() => _ = model.FineTuneBatchNormalization(view));
        Assert.AreEqual(2, pass);
    }

    [TestMethod]
    public void Layers_behind_one_of_batch_statistics_get_what_a_fit_gives_them()
    {
        BatchNormalizationEstimator first = Layer("F", "B", options =>
            (options.TrainDownstreamOn, options.BatchSize) = (DownstreamStatistics.Batch, 40));
        var model = first.Append(Layer("G", "F")).Fit(Train);
        BatchNormalizationTransformer[] layers = Layers(model);
        BatchNormalizationTransformer moved = layers[0].FineTune(New);
        IDataView given = ((ITransformerWithDifferentMappingAtTrainingTime)moved).TransformForTrainingPipeline(New);
        BatchNormalizationState expected = layers[1].FineTune(given).GetState("G");
        Assert.AreEqual(expected, Layers(model.FineTuneBatchNormalization(New))[1].GetState("G"));
        Assert.AreNotEqual(expected, layers[1].FineTune(moved.Transform(New)).GetState("G"));
    }

    [TestMethod]
    public void A_step_that_is_for_training_only_is_applied_as_in_a_fit_and_not_where_rows_are_compared()
    {
        // Transform leaves the step out, so the layer meets A itself there.
        var model = Context.Transforms.CopyColumns("X", "A")
            .Append(Context.Transforms.NormalizeMinMax("X"), TransformerScope.Training).Append(Layer("Y", "X")).Fit(Train);
        foreach (ITransformer chain in (ITransformer[])[model, Loaded(model)])
        {
            ITransformer[] steps = [.. (IEnumerable<ITransformer>)chain];
            var layer = (BatchNormalizationTransformer)steps[2];
            Assert.AreEqual(
                layer.FineTune(Behind(steps, 2, New)).GetState("Y"),
                Layers(chain.FineTuneBatchNormalization(New)).Single().GetState("Y"));
            CollectionAssert.AreEqual(
                layer.CompareStatistics(Behind(steps, 1, New))["Y"].Channels.ToArray(),
                chain.CompareStatistics(New)["Y"].Channels.ToArray());
            // So it is for a chain that is itself in such a scope.
            ITransformer nested = new TransformerChain<ITransformer>(
                [steps[0], new TransformerChain<ITransformer>(steps[1]), layer],
                [TransformerScope.Everything, TransformerScope.TrainTest, TransformerScope.Everything]);
            CollectionAssert.AreEqual(
                chain.CompareStatistics(New)["Y"].Channels.ToArray(),
                nested.CompareStatistics(New)["Y"].Channels.ToArray());
        }
    }
}
