using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What is wrong with the batch normalization of a network: how far the moving statistics of each layer are from the
/// exact ones of rows, how much of the difference in the outputs is its doing, and a verdict with the call that mends it.
/// An immutable value.
/// </summary>
/// <remarks>
/// <para>
/// The rows need no labels. With <see cref="DiagnosisOptions.Loss"/> their targets are used to measure loss and metric
/// with moving statistics, with exact ones, and with those of batches. <see cref="DiagnosisOptions.TrainingRows"/> and
/// <see cref="DiagnosisOptions.TrainingBatchSize"/> decide between causes that look the same on the rows alone.
/// </para>
/// <para>
/// Rows are read in parts, several times, so they need not fit into memory. The same arguments give the same report. A
/// feature that is not finite is an error that names row and slot, unless the network begins with a batch normalization
/// of <see cref="NonFinite.Ignore"/>.
/// </para>
/// <para>
/// <see cref="ToString"/> is plain text. <see cref="ToHtml"/> is a page in one file that loads nothing and runs no
/// script. A notebook of .NET Interactive shows the object as that page.
/// </para>
/// </remarks>
[TypeFormatterSource(typeof(NotebookFormatterSource))]
public sealed class BatchNormalizationDiagnosis : IReport
{
    const string DefaultTitle = "Batch normalization diagnosis";

    /// <summary>With fewer rows, only what state and options show can be told.</summary>
    const int FewRows = 16;

    readonly DiagnosisOptions options;

    BatchNormalizationDiagnosis(DiagnosisOptions options, int rows, IEnumerable<LayerDiagnosis> layers, string? verdict)
    {
        (this.options, Rows) = (options, rows);
        Layers = [.. layers];
        Verdict = verdict ?? "";
    }

    /// <summary>The layers that have moving statistics, in topological order.</summary>
    public ImmutableArray<LayerDiagnosis> Layers { get; }

    /// <summary>The number of rows.</summary>
    public int Rows { get; }

    /// <summary>
    /// The fault that does most to the outputs; <see cref="NormalizationFault.None"/> if nothing is known to be wrong.
    /// </summary>
    public NormalizationFault Fault => Worst?.Fault ?? NormalizationFault.None;

    /// <summary>Whether nothing is known to be wrong.</summary>
    public bool IsHealthy => Fault == NormalizationFault.None;

    /// <summary>What is wrong, what shows it, and what mends it.</summary>
    public string Verdict { get; private set; }

    /// <summary>
    /// By how much the outputs change under exact statistics: the root mean square, in standard deviations of the
    /// outputs, of up to 1,024 rows drawn with the seed. NaN if no row has finite outputs.
    /// </summary>
    public double OutputChange { get; private init; }

    /// <summary>Loss and metric with the moving statistics, as the network is served; null without a loss.</summary>
    public EvaluationResult? Moving { get; private init; }

    /// <summary>
    /// Loss and metric with the exact statistics of the rows in every layer, frozen or not; null without a loss.
    /// </summary>
    public EvaluationResult? Exact { get; private init; }

    /// <summary>
    /// Loss and metric where every layer, frozen or not, normalizes batches of <see cref="DiagnosisOptions.BatchSize"/>
    /// shuffled rows with their own statistics; null without a loss or for one row.
    /// </summary>
    public EvaluationResult? Batches { get; private init; }

    /// <summary>What is worth knowing and no fault, a sentence each.</summary>
    public ImmutableArray<string> Notes { get; private init; } = [];

    /// <summary>
    /// The layers with a fault; the greatest share of the difference first, and what is certain before what is not.
    /// </summary>
    LayerDiagnosis? Worst => Layers.Where(layer => layer.Fault != NormalizationFault.None)
        .OrderBy(layer => layer.Fault == NormalizationFault.Unexplained)
        .ThenByDescending(layer => Layers.Where(other => other.Fault == layer.Fault).Sum(other => Math.Abs(other.Share)))
        .ThenByDescending(layer => Math.Abs(layer.Share)).FirstOrDefault();

    /// <summary>Looks at a network with the given rows.</summary>
    /// <param name="network">The network.</param>
    /// <param name="state">Its parameters; they do not change.</param>
    /// <param name="rows">The rows. Their targets count only with <see cref="DiagnosisOptions.Loss"/>.</param>
    /// <param name="options">What else is known; null for nothing.</param>
    /// <param name="cancellationToken">Checked before each part of the rows.</param>
    /// <exception cref="ArgumentException">State, rows and options do not fit the network or each other.</exception>
    /// <exception cref="InvalidDataException">A feature is not finite where that is an error.</exception>
    /// <exception cref="IOException">A row cannot be read from its source.</exception>
    /// <exception cref="NotSupportedException">A layer is a <see cref="TorchScriptLayer"/>.</exception>
    /// <exception cref="OperationCanceledException">The work was canceled.</exception>
    public static BatchNormalizationDiagnosis Of(
        Network network, NetworkState state, TrainingData rows, DiagnosisOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(rows);
        network.CheckState(state);
        options ??= new DiagnosisOptions();
        using var measurement = new NormalizationMeasurement(
            network, state, rows, options.Loss, options.Seed, cancellationToken);
        EvaluationResult? moving = options.Loss is null ? null : measurement.Evaluate(state);
        if (measurement.Tracked.Count == 0)
            return new BatchNormalizationDiagnosis(
                options, rows.Rows, [], network.Nodes.Any(node => node.Layer is BatchNormalizationLayer)
                    ? "The network's batch normalizations track no moving statistics: each batch is normalized with its "
                        + "own, in training and inference, so there is nothing that could be wrong with them."
                    : "The network has no batch normalization.")
            {
                Moving = moving,
            };

        NetworkState exact = measurement.Exact();
        bool areTrainingRows = options.TrainingRows == rows;
        using NormalizationMeasurement? training = options.TrainingRows is null || areTrainingRows
            ? null
            : new NormalizationMeasurement(
                network, state, options.TrainingRows, loss: null, options.Seed, cancellationToken);
        NetworkState? trainingExact = areTrainingRows ? exact : training?.Exact();
        MeasuredLayer[] measured = Measure(network, state, measurement, exact, trainingExact);
        (double change, double[] shares) = measurement.CompareOutputs(exact);
        (NormalizationFault Fault, string Finding)[] found =
            new FaultSearch(measured, options, areTrainingRows).Run(trainingExact ?? exact, Replay, WithEpsilon);
        var diagnosis = new BatchNormalizationDiagnosis(
            options, rows.Rows, measured.Select((layer, i) => Describe(layer, shares[i], found[i])), verdict: null)
        {
            Notes = NotesOf(network, measured, found),
            OutputChange = change,
            Moving = moving,
            Exact = options.Loss is null ? null : measurement.Evaluate(exact),
            Batches = options.Loss is null ? null : measurement.EvaluateBatches(options.BatchSize),
        };
        diagnosis.Verdict = diagnosis.Judge(measured.Any(
            layer => layer.EmptyChannels == layer.State.Channels || FaultSearch.Doubt(layer) is not null));
        return diagnosis;

        NetworkState Replay(double momentum, int batchSize) =>
            (training ?? measurement).Replay(trainingExact ?? exact, batchSize, momentum);

        double[]? WithEpsilon(double epsilon)
        {
            Network other = network.WithBatchNormalization(
                before => before with { Epsilon = epsilon }, NormalizationMeasurement.PathsOf(measurement.Tracked));
            using var again = new NormalizationMeasurement(
                other, state, options.TrainingRows ?? rows, loss: null, options.Seed, cancellationToken);
            NetworkState fit = again.Exact();
            return [.. again.Tracked.Select(node => NormalizationMeasurement.Displacement(node, state, fit))];
        }
    }

    /// <summary>Looks at a saved network, such as a pretrained one.</summary>
    /// <inheritdoc cref="Of(Network, NetworkState, TrainingData, DiagnosisOptions?, CancellationToken)"/>
    /// <param name="saved">The network and its parameters.</param>
    /// <param name="rows">The rows. Their targets count only with <see cref="DiagnosisOptions.Loss"/>.</param>
    /// <param name="options">What else is known; null for nothing.</param>
    /// <param name="cancellationToken">Checked before each part of the rows.</param>
    public static BatchNormalizationDiagnosis Of(
        SavedNetwork saved, TrainingData rows, DiagnosisOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(saved);
        return Of(saved.Network, saved.State, rows, options, cancellationToken);
    }

    /// <summary>
    /// Looks at a network that a run has trained. What <paramref name="options"/> do not say of the loss and of the
    /// training's batches is taken from the run.
    /// </summary>
    /// <inheritdoc cref="Of(Network, NetworkState, TrainingData, DiagnosisOptions?, CancellationToken)"/>
    /// <param name="result">The result of the run.</param>
    /// <param name="rows">The rows.</param>
    /// <param name="options">What else is known; null for nothing.</param>
    /// <param name="cancellationToken">Checked before each part of the rows.</param>
    public static BatchNormalizationDiagnosis Of(
        TrainingResult result, TrainingData rows, DiagnosisOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(result);
        options ??= new DiagnosisOptions();
        TrainingOptions run = result.Checkpoint.Setup.Options;
        return Of(
            result.Network, result.State, rows, options with
            {
                Loss = options.Loss ?? run.Loss,
                TrainingBatchSize = options.TrainingBatchSize ?? run.BatchSize,
            }, cancellationToken);
    }

    /// <summary>Looks at a network with rows that have no targets.</summary>
    /// <inheritdoc cref="Of(Network, NetworkState, TrainingData, DiagnosisOptions?, CancellationToken)"/>
    /// <param name="network">The network.</param>
    /// <param name="state">Its parameters; they do not change.</param>
    /// <param name="features">Row after row, as many values each as the network has inputs; at least one row.</param>
    /// <param name="options">What else is known; null for nothing.</param>
    /// <param name="cancellationToken">Checked before each part of the rows.</param>
    public static BatchNormalizationDiagnosis Of(
        Network network, NetworkState state, ReadOnlyMemory<float> features, DiagnosisOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(network);
        if (options?.Loss is not null)
            throw new ArgumentException("A loss needs targets: give TrainingData instead of features.", nameof(options));
        return Of(network, state, TrainingData.WithoutTargets(network, features), options, cancellationToken);
    }

    /// <summary>The verdict, the table of the layers and the notes, as plain text.</summary>
    public override string ToString()
    {
        var text = new StringBuilder(Html.Visible(Verdict)).Append('\n');
        foreach (string[][] cells in (string[][][])[EvaluationCells(), LayerCells()])
        {
            if (cells.Length < 2)
                continue;
            string[][] table = Array.ConvertAll(cells, row => Array.ConvertAll(row, Html.Visible));
            int[] widths = [.. table[0].Select((_, column) => table.Max(row => row[column].Length))];
            text.Append('\n');
            foreach (string[] row in table)
                text.Append(string.Join("  ", row.Select((cell, column) => column == 0
                    ? cell.PadRight(widths[0]) : cell.PadLeft(widths[column]))).TrimEnd()).Append('\n');
        }
        foreach (string line in Layers.Where(layer => layer.Finding.Length > 0)
            .Select(layer => $"{layer.Layer}: {layer.Finding}").Concat(Notes))
            text.Append('\n').Append(Html.Visible(line)).Append('\n');
        return text.ToString();
    }

    /// <summary>The report as a page: one file that loads nothing and runs no script.</summary>
    /// <param name="title">The title of the page.</param>
    public string ToHtml(string title = DefaultTitle) => ReportPage.Page(new DiagnosisPage(this, Check.NotNull(title)));

    /// <summary>Writes the page of <see cref="ToHtml"/>, in UTF-8.</summary>
    /// <param name="path">The file. An existing file is replaced in one step.</param>
    /// <param name="title">The title of the page.</param>
    /// <exception cref="ArgumentException">The path is empty.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">You may not write the file.</exception>
    public void SaveHtml(string path, string title = DefaultTitle) =>
        ReportPage.Save(new DiagnosisPage(this, Check.NotNull(title)), path);

    /// <summary>Writes the page of <see cref="ToHtml"/>, in UTF-8.</summary>
    /// <param name="stream">The page is written at its position; it is neither flushed nor closed.</param>
    /// <param name="title">The title of the page.</param>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void SaveHtml(Stream stream, string title = DefaultTitle) =>
        ReportPage.Save(new DiagnosisPage(this, Check.NotNull(title)), stream);

    string IReport.Title => DefaultTitle;

    string IReport.Body() => new DiagnosisPage(this, DefaultTitle).Body();

    /// <summary>Titles and rows of the table of loss and metric; only titles without a loss.</summary>
    internal string[][] EvaluationCells()
    {
        (string Name, EvaluationResult? Result)[] rows =
        [
            ("moving, as served", Moving), ("exact, of these rows", Exact),
            ($"of batches of {options.BatchSize}", Batches),
        ];
        return
        [
            ["Statistics", "Loss", options.Loss is { } loss ? Capital(LossText.Metric(loss)) : ""],
            .. rows.Where(row => row.Result is not null).Select(
                row => new[] { row.Name, Html.Number(row.Result!.Loss), Html.Number(row.Result.Metric) }),
        ];
    }

    /// <summary>Titles and rows of the table of the layers.</summary>
    internal string[][] LayerCells() =>
    [
        [
            "Layer", "Fault", "Share of difference", "Displacement", "Standard error", "As served", "In training",
            "Mean shift", "Variance ratio", "Initializer", "Batches seen",
        ],
        .. Layers.Select(layer => new[]
        {
            layer.Layer, $"{layer.Fault}",
            Rounded(layer.Share), Rounded(layer.Displacement), Rounded(layer.StandardError),
            Rounded(layer.DisplacementAsServed), Rounded(layer.DisplacementInTraining ?? double.NaN),
            Rounded(layer.MeanShift), Rounded(layer.VarianceRatio), Rounded(layer.InitialWeight),
            layer.BatchesSeen.ToString(CultureInfo.InvariantCulture),
        }),
    ];

    static LayerDiagnosis Describe(MeasuredLayer layer, double share, (NormalizationFault Fault, string Finding) found) =>
        new()
        {
            Layer = layer.Node.Path,
            Channels = layer.State.Channels,
            Displacement = layer.Displacement,
            DisplacementAsServed = layer.AsServed,
            StandardError = layer.StandardError,
            DisplacementInTraining = layer.InTraining,
            MeanShift = layer.MeanShift,
            VarianceRatio = layer.VarianceRatio,
            Share = share,
            InitialWeight = layer.State.InitialWeight,
            BatchesSeen = layer.State.BatchesSeen,
            ConstantChannels = layer.ConstantChannels,
            Fault = found.Fault,
            Finding = found.Finding ?? "",
        };

    static MeasuredLayer[] Measure(
        Network network, NetworkState state, NormalizationMeasurement measurement, NetworkState exact,
        NetworkState? training)
    {
        Dictionary<string, BatchStatistics> served = measurement.AsServed();
        double[] errors = measurement.StandardErrors();
        bool[] followsNormalization = network.Values.FollowingFrom(
            i => network.Nodes[i].Layer is BatchNormalizationLayer);
        bool[] followsDropout = network.Values.FollowingFrom(
            i => network.Nodes[i].Layer is DropoutLayer { Rate: > 0 } or RandomCropLayer or RandomHorizontalFlipLayer);
        bool[] followsWeights = network.Values.FollowingFrom(i => network.Nodes[i].ParameterCount > 0);
        bool[] followsCurve = network.Values.FollowingFrom(i => network.Nodes[i].Layer is not (
            DenseLayer or Conv2DLayer or FlattenLayer or GlobalAveragePool2DLayer or DropoutLayer));
        return [.. measurement.Tracked.Select(Of)];

        MeasuredLayer Of(NetworkNode node, int index)
        {
            BatchNormalizationState held = state[node.Path].BatchNormalization!;
            return new MeasuredLayer(node, held, exact[node.Path].BatchNormalization!)
            {
                Displacement = NormalizationMeasurement.Displacement(node, state, exact),
                AsServed = NormalizationMeasurement.Displacement(
                    held.MovingMean, held.MovingVariance, held.WithPopulation(served[node.Path]),
                    NormalizationMeasurement.OptionsOf(node)!.EffectiveEpsilon),
                StandardError = errors[index],
                InTraining = training is null ? null : NormalizationMeasurement.Displacement(node, state, training),
                IsFirst = !Any(followsNormalization),
                ReadsLinear = !Any(followsCurve),
                ReadsDropout = Any(followsDropout),
                ReadsWeights = Any(followsWeights),
            };

            bool Any(bool[] follows) => node.Inputs.Any(value => value >= 0 && follows[value]);
        }
    }

    /// <param name="isInDoubt">Whether the rows show too little of a layer to say that it fits.</param>
    string Judge(bool isInDoubt)
    {
        string change = double.IsNaN(OutputChange)
            ? $"No row has finite outputs, so nothing is known of their change{Metrics()}."
            : $"Under exact statistics the outputs change by {Rounded(OutputChange)} of their standard deviation"
                + $"{Metrics()}.";
        if (IsHealthy && isInDoubt && (Rows >= FewRows || options.TrainingRows is not null))
            return $"Nothing is known to be wrong, but {Html.Count(Rows, "row")} {(Rows == 1 ? "shows" : "show")} too "
                + $"little of some layers: see the notes. {change}";
        if (Worst is not { } worst)
            return Rows < FewRows && options.TrainingRows is null
                ? $"{Html.Count(Rows, "row")} can show no more than what the state tells, which is nothing wrong. Give "
                    + $"at least {FewRows} rows, and better hundreds."
                : "Nothing is wrong: the moving statistics fit "
                    + $"{(Rows == 1 ? "this row" : $"these {Html.Count(Rows)} rows")}. {change}";
        LayerDiagnosis[] same = [.. Layers.Where(layer => layer.Fault == worst.Fault)];
        IEnumerable<string> others = Layers.Select(layer => layer.Fault).Distinct()
            .Where(fault => fault != NormalizationFault.None && fault != worst.Fault).Select(Words);
        return $"{Capital(Words(worst.Fault))}, in "
            + (Layers.Length == 1 ? $"the layer '{worst.Layer}'"
                : same.Length == 1 ? $"one of {Layers.Length} layers, '{worst.Layer}'"
                : $"{same.Length} of {Layers.Length} layers, most of all '{worst.Layer}'")
            + $". {worst.Finding} {change}"
            + (others.Any() ? $" Other layers have: {string.Join("; ", others)}." : "");
    }

    string Metrics()
    {
        if (Moving is null || Exact is null || options.Loss is null)
            return "";
        return $"; the {LossText.Metric(options.Loss)} is {Html.Number(Moving.Metric)} with moving statistics, "
            + $"{Html.Number(Exact.Metric)} with exact ones"
            + (Batches is null ? "" : $" and {Html.Number(Batches.Metric)} with those of batches of {options.BatchSize}");
    }

    static ImmutableArray<string> NotesOf(
        Network network, MeasuredLayer[] layers, (NormalizationFault Fault, string Finding)[] found)
    {
        var notes = ImmutableArray.CreateBuilder<string>();
        for (int i = 0; i < layers.Length; i++)
        {
            MeasuredLayer layer = layers[i];
            string name = layer.Node.Path;
            int axis = ((BatchNormalizationLayer)layer.Node.Layer).AxisIn(layer.Node.Input);
            if (layer.EmptyChannels > 0)
                notes.Add(
                    $"{name}: {Html.Count(layer.EmptyChannels)} of {Html.Count(layer.State.Channels, "channel")} "
                    + $"{(layer.EmptyChannels == 1 ? "has" : "have")} no value on these rows, which show nothing of "
                    + $"{(layer.EmptyChannels == 1 ? "it" : "them")}.");
            if (found[i].Fault == NormalizationFault.None && FaultSearch.Doubt(layer) is { } doubt)
                notes.Add($"{name}: {doubt}");
            if (layer.ConstantChannels > 0)
                notes.Add(
                    $"{name}: {Html.Count(layer.ConstantChannels)} of {Html.Count(layer.State.Channels, "channel")} "
                    + (layer.ConstantChannels == 1
                        ? "is constant on these rows and gives" : "are constant on these rows and give")
                    + " the same in every row.");
            if (layer.Node.Input.Rank == 3 && axis != 1)
                notes.Add(
                    $"{name}: its channels are axis {axis} of the input {layer.Node.Input}, with the batch as axis 0. "
                    + "The channels of images are axis 1 here.");
            if (found[i].Fault == NormalizationFault.None && layer.State.InitialWeight > 0.05)
                notes.Add(
                    string.Create(
                        CultureInfo.InvariantCulture, $"{name}: {100 * layer.State.InitialWeight:0.#} % of its statistics ")
                    + "are still the initializer's, which does little on these rows.");
            if (found[i].Fault == NormalizationFault.None && layer is { IsAverage: true, Moves: true }
                && layer.Options.EffectiveMomentum <= 0.5)
                notes.Add(
                    $"{name}: a momentum of {Rounded(layer.Options.EffectiveMomentum)} keeps the last few batches only, "
                    + "which does little on these rows. PyTorch's 0.1 is 0.9 here.");
        }
        foreach (NetworkNode node in network.Nodes.Where(node => NormalizationMeasurement.OptionsOf(node) is
            { TrackMovingStatistics: false }))
            notes.Add($"{node.Path}: it tracks no moving statistics, and normalizes each batch with its own.");
        return notes.ToImmutable();
    }

    static string Rounded(double value) => double.IsNaN(value) ? HtmlTable.None
        : Math.Abs(value) is >= 0.0005 and < 1000 ? value.ToString("0.###", CultureInfo.InvariantCulture)
        : Html.Number(value);

    static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];

    /// <summary>A fault in a few words.</summary>
    internal static string Words(NormalizationFault fault) => fault switch
    {
        NormalizationFault.Initializer => "moving statistics that still hold the initializer",
        NormalizationFault.Frozen => "frozen statistics that do not fit",
        NormalizationFault.FastMomentum => "a momentum that remembers too little",
        NormalizationFault.SlowMomentum => "a momentum that remembers too much",
        NormalizationFault.SmallBatches => "batches that are too small",
        NormalizationFault.RowOrder => "training rows that were not shuffled",
        NormalizationFault.InputScale => "rows on another scale",
        NormalizationFault.Epsilon => "another ε than in training",
        NormalizationFault.Dropout => "dropout before the layer",
        NormalizationFault.OtherRows => "rows that are not like those of the training",
        NormalizationFault.Unexplained => "moving statistics that do not fit",
        _ => "nothing wrong",
    };
}
