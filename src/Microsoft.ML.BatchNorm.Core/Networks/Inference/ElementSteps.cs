using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm.Inference;

/// <summary>An activation that follows no product.</summary>
sealed unsafe class ActivationStep(ActivationLayer layer, int size) : ServingStep(size, size)
{
    public override bool IsElementwise => true;

    public override void Run(float* x, float* y, int rows, float* work) =>
        ActivationMap.Run(layer.EffectiveFunction, layer.Slope, x, y, (nint)rows * Outputs);
}

/// <summary>A batch normalization that cannot be folded: its map, with the digits that a large mean needs.</summary>
sealed unsafe class AffineStep(RowMap<float> map) : ServingStep(map.Length, map.Length)
{
    public override bool IsElementwise => true;

    public override void Run(float* x, float* y, int rows, float* work)
    {
        for (int row = 0; row < rows; row++, x += Inputs, y += Outputs)
            map.Apply(new ReadOnlySpan<float>(x, Inputs), new Span<float>(y, Outputs));
    }
}

/// <summary>
/// Swaps the dimensions of a matrix: <c>[channels, positions]</c> to <c>[positions, channels]</c> or back.
/// </summary>
sealed unsafe class TransposeStep(int height, int width) : ServingStep(height * width, height * width)
{
    const int Tile = 16;

    public override void Run(float* x, float* y, int rows, float* work)
    {
        for (int row = 0; row < rows; row++, x += Inputs, y += Outputs)
        {
            for (int top = 0; top < height; top += Tile)
            {
                int bottom = Math.Min(height, top + Tile);
                for (int left = 0; left < width; left++)
                {
                    for (int i = top; i < bottom; i++)
                        y[left * height + i] = x[i * width + left];
                }
            }
        }
    }
}
