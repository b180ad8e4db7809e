namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// The order of a kernel's values here, <c>[outputs, channels, height, width]</c>, and in Keras,
/// <c>[height, width, channels, outputs]</c>. It is that of a convolution; of a dense layer after the flattening of an
/// image, whose features Keras counts channels last; and, with height and width 1, of any dense layer.
/// </summary>
readonly record struct KerasLayout(int Outputs, int Channels, int Height, int Width)
{
    public T[] ToKeras<T>(ReadOnlySpan<T> kernel)
    {
        T[] keras = new T[kernel.Length];
        int area = Height * Width, step = Channels * Outputs;
        for (int place = 0, from = 0; from < kernel.Length; place++)
        {
            int output = place / Channels, channel = place % Channels;
            for (int at = 0, to = channel * Outputs + output; at < area; at++, to += step)
                keras[to] = kernel[from++];
        }
        return keras;
    }

    public T[] FromKeras<T>(ReadOnlySpan<T> keras)
    {
        T[] kernel = new T[keras.Length];
        int area = Height * Width, step = Channels * Outputs;
        for (int place = 0, to = 0; to < kernel.Length; place++)
        {
            int output = place / Channels, channel = place % Channels;
            for (int at = 0, from = channel * Outputs + output; at < area; at++, from += step)
                kernel[to++] = keras[from];
        }
        return kernel;
    }
}
