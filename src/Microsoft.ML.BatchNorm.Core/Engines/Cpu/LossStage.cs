namespace Microsoft.ML.BatchNorm;

/// <summary>Computes the loss of a batch, and its gradient by the network's outputs, in one pass.</summary>
sealed unsafe class LossStage
{
    readonly TrainingOptions options;
    readonly Step step;
    readonly RowBuffer outputs, gradient;
    readonly BatchRows rows;
    readonly int targetsPerRow;

    /// <summary>
    /// For each block, the sum of its rows' losses, each times the row's weight and the batch's scale.
    /// </summary>
    double[] sums = [];
    double scale;

    public LossStage(
        TrainingOptions options, BatchRows rows, int targetsPerRow, RowBuffer outputs, RowBuffer gradient, Step step)
    {
        (this.options, this.rows, this.targetsPerRow) = (options, rows, targetsPerRow);
        (this.outputs, this.gradient, this.step) = (outputs, gradient, step);
    }

    /// <summary>The batch's loss, once the passes have run.</summary>
    public double Value
    {
        get
        {
            double sum = 0;
            for (int block = 0; block < step.Blocks; block++)
                sum += sums[block];
            return sum;
        }
    }

    public Pass Pass => Pass.OnRows(Run);

    public void Grow(int rows)
    {
        gradient.Grow(rows);
        if (sums.Length < step.BlocksOf(rows))
            sums = new double[step.BlocksOf(rows)];
    }

    /// <summary>Called before the pass, when the batch's rows are known.</summary>
    public void Begin()
    {
        double total = step.BatchRows;
        if (rows.HasWeights || !options.ClassWeights.IsEmpty)
        {
            total = 0;
            foreach (int row in rows.Places)
                total += WeightOf(row);
            step.Share?.Ranks.Sum(new Span<double>(ref total));
        }
        // If all rows have weight 0, the loss is 0.
        scale = total > 0 ? 1 / total : 0;
        if (options.Loss is not SoftmaxCrossEntropyLoss)
            scale /= outputs.Width;
    }

    void Run(RowBlock block)
    {
        double sum = 0;
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            int place = rows.Places[row];
            double factor = scale * WeightOf(place);
            float* target = rows.Targets + (nint)place * targetsPerRow;
            sum += factor * Row(outputs.Row(row), target, factor, gradient.Row(row));
        }
        sums[block.Index] = sum;
    }

    double Row(float* x, float* target, double factor, float* g) => options.Loss switch
    {
        SoftmaxCrossEntropyLoss => LossKernels.Softmax(x, outputs.Width, (int)*target, (float)factor, g),
        BinaryCrossEntropyLoss => LossKernels.Sum(default(BinaryLoss), x, target, outputs.Width, factor, g),
        MeanSquaredErrorLoss => LossKernels.Sum(default(SquaredLoss), x, target, outputs.Width, factor, g),
        MeanAbsoluteErrorLoss => LossKernels.Sum(default(AbsoluteLoss), x, target, outputs.Width, factor, g),
        HuberLoss huber =>
            LossKernels.Sum(new LinearTailLoss(huber.Delta), x, target, outputs.Width, factor, g),
        _ => throw new NotSupportedException($"The CPU engine has no loss {options.Loss.GetType().Name}."),
    };

    double WeightOf(int place) =>
        (rows.Weights is null ? 1 : rows.Weights[place]) * options.ClassWeight(rows.Targets[(nint)place * targetsPerRow]);
}
