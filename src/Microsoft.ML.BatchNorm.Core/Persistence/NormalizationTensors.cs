namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// A batch normalization's tensors. One without moving statistics has none of these; one that normalizes the features
/// of a flattened image has them in Keras's order there.
/// </summary>
sealed class NormalizationTensors(
    NetworkNode node, string prefix, BatchNormalizationOptions options, StateNames names, TensorShape? image)
    : LayerTensors(node, prefix)
{
    public BatchNormalizationOptions Options => options;

    // PyTorch has no renormalization.
    bool HasRenorm => options.Renorm is not null && names.Renorm.Length > 0;

    int Channels => ((BatchNormalizationLayer)Node.Layer).Channels(Node.Input);

    KerasLayout? Layout => image is null ? null : new(1, image[0], image[1], image[2]);

    public override IEnumerable<ExpectedTensor> Expected
    {
        get
        {
            List<string> expected = options.TrackMovingStatistics ? [names.Mean, names.Variance] : [];
            if (options.Scale)
                expected.Add(names.Gamma);
            if (options.Center)
                expected.Add(names.Beta);
            if (HasRenorm)
                expected.AddRange(names.Renorm);
            foreach (string name in expected)
                yield return new(name, SafetensorsShape.Of(Channels));
            if (options.TrackMovingStatistics && names.Batches is not null)
                yield return new(names.Batches, SafetensorsShape.Scalar, IsCount: true);
        }
    }

    public override LayerState Read(SafetensorsValues values)
    {
        BatchNormalizationState fresh = BatchNormalization.Initialize(options, Channels);
        bool tracks = options.TrackMovingStatistics;
        double[] mean = tracks ? Doubles(names.Mean) : fresh.MovingMean.ToArray();
        double[] variance = tracks ? Doubles(names.Variance) : fresh.MovingVariance.ToArray();
        long batches = tracks && names.Batches is { } name && values.Has(name) ? values.Whole(name) : 0;
        var state = new BatchNormalizationState(
            mean, variance, options.Scale ? Floats(names.Gamma) : [], options.Center ? Floats(names.Beta) : [], batches,
            tracks ? 0 : fresh.InitialWeight, renorm: null, tracks ? Population() : null);
        if (HasRenorm)
            state = WithRenorm(state, RenormStatistics.Of(
                Doubles(names.Renorm[0]), Doubles(names.Renorm[1]), Doubles(names.Renorm[2])));
        if (StateFault.Of(state, names) is { } fault)
            throw new InvalidDataException(fault);
        if (options.Renorm is not null && !HasRenorm)
            state = WithRenorm(state, Renormalization.Initialize(mean, variance));
        return new LayerState(state);

        float[] Floats(string name) => Layout?.FromKeras<float>(values.Floats(name)) ?? values.Floats(name);

        double[] Doubles(string name) => Layout?.FromKeras<double>(values.Doubles(name)) ?? values.Doubles(name);

        PopulationMoments? Population()
        {
            PopulationMoments? known = values.Population(names.Population, Channels);
            return Layout is { } layout ? known?.Reorder(array => layout.FromKeras<double>(array)) : known;
        }
    }

    public override IEnumerable<SafetensorsTensor> Write(LayerState state)
    {
        HashSet<string> expected = [.. Expected.Select(tensor => tensor.Name)];
        return StateTensors.Of(InKerasOrder(state.BatchNormalization!), names)
            .Where(tensor => expected.Contains(tensor.Name));
    }

    public override IEnumerable<KeyValuePair<string, PopulationMoments>> Population(LayerState state)
    {
        if (options.TrackMovingStatistics && InKerasOrder(state.BatchNormalization!).Population is { } known)
            yield return KeyValuePair.Create(names.Population, known);
    }

    BatchNormalizationState InKerasOrder(BatchNormalizationState state)
    {
        if (Layout is not { } layout)
            return state;
        return new BatchNormalizationState(
            layout.ToKeras(state.MovingMean), layout.ToKeras(state.MovingVariance), layout.ToKeras(state.Gamma),
            layout.ToKeras(state.Beta), state.BatchesSeen, state.InitialWeight,
            state.Renorm is not { } renorm ? null : RenormStatistics.Of(
                layout.ToKeras(renorm.MovingStandardDeviation), layout.ToKeras(renorm.Mean),
                layout.ToKeras(renorm.StandardDeviation)),
            state.Population?.Reorder(array => layout.ToKeras<double>(array)));
    }

    static BatchNormalizationState WithRenorm(BatchNormalizationState state, RenormStatistics renorm) => new(
        state.MovingMean.ToArray(), state.MovingVariance.ToArray(), state.GammaArray, state.BetaArray,
        state.BatchesSeen, state.InitialWeight, renorm, state.Population);
}
