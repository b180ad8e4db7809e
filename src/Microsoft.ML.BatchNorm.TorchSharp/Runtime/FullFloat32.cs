namespace Microsoft.ML.BatchNorm.TorchSharp.Runtime;

/// <summary>
/// Keeps libtorch from TF32, in which a GPU rounds the factors of float32 products to ten bits, and which libtorch
/// allows in convolutions. The switches are the process's: they are put back with the last of these.
/// </summary>
sealed class FullFloat32 : IDisposable
{
    static readonly Lock gate = new();
    static int open;
    static bool convolutions, products;

    bool isDisposed;

    public FullFloat32()
    {
        lock (gate)
        {
            if (open++ > 0)
                return;
            (convolutions, products) = (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32);
            Allow(false, false);
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            if (isDisposed)
                return;
            isDisposed = true;
            if (--open == 0)
                Allow(convolutions, products);
        }
    }

    static void Allow(bool convolutions, bool products) =>
        (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) = (convolutions, products);
}
