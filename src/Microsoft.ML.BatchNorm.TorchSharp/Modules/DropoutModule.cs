namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// A <see cref="DropoutLayer"/>. What it drops depends only on the step's key and on the layer's index in the network.
/// </summary>
sealed class DropoutModule(
    NetworkNode node, DropoutLayer layer, CounterRandom random, int layerIndex, BatchShare? share = null)
    : LayerModule(node)
{
    /// <summary>Stands for seed and step number.</summary>
    ulong stepKey;

    public override void BeginStep(int seed, long step) =>
        stepKey = CounterRandom.Key(unchecked((ulong)seed), (ulong)step);

    public override Tensor forward(Tensor x)
    {
        if (!IsTraining || layer.Rate == 0)
            return x.alias();
        long rows = x.shape[0];
        Tensor kept = random.AtLeast(
            layer.Rate, x.NumberOfElements, CounterRandom.Key(stepKey, (ulong)layerIndex), share?.PlacesOf((int)rows));
        return x.mul(kept.mul_(Scalars.Of(1 / (1 - layer.Rate))).reshape(x.shape));
    }
}

/// <summary>
/// Random numbers on the device that depend only on a key and on their index: SplitMix64's mixing (Steele, Lea and
/// Flood, 2014) of consecutive counters. TorchSharp's generators exist only on the CPU, and the device's own generator
/// is shared by the whole process.
/// </summary>
sealed class CounterRandom : IDisposable
{
    const int Bits = 24;
    const long FirstFactor = unchecked((long)0xBF58476D1CE4E5B9), SecondFactor = unchecked((long)0x94D049BB133111EB);

    static readonly int[] amounts = [30, 27, 31, 64 - Bits];

    readonly torch.Device device;
    readonly Tensor[] shifts, masks;

    public CounterRandom(torch.Device device)
    {
        this.device = device;
        shifts = Array.ConvertAll(amounts, amount => Number(amount));
        masks = Array.ConvertAll(amounts, amount => Number((1L << (64 - amount)) - 1));
    }

    /// <summary>
    /// A vector of floats: 1 if a uniform random number is at least <paramref name="rate"/>, otherwise 0.
    /// </summary>
    /// <param name="rate">The rate.</param>
    /// <param name="count">How many numbers there are.</param>
    /// <param name="key">The key.</param>
    /// <param name="places">
    /// If the numbers are those of some rows of a batch, the place of each of these in the batch; otherwise null.
    /// </param>
    public Tensor AtLeast(double rate, long count, ulong key, long[]? places = null)
    {
        using var scope = torch.NewDisposeScope();
        // The first counter is below 2⁶², so no counter overflows.
        long first = (long)(Mix(key) >> 2);
        Tensor x = torch.arange(
            Scalars.Of(first), Scalars.Of(first + (places is null ? count : count / places.Length)), Scalars.One,
            ScalarType.Int64, device);
        if (places is not null)
        {
            long width = count / places.Length;
            x = Tensors.Upload<long>([.. places.Select(place => place * width)], device, places.Length, 1)
                .add(x, Scalars.One).reshape(-1);
        }
        x.bitwise_xor_(Shifted(x, 0)).mul_(Scalars.Of(FirstFactor));
        x.bitwise_xor_(Shifted(x, 1)).mul_(Scalars.Of(SecondFactor));
        x.bitwise_xor_(Shifted(x, 2));
        Tensor atLeast = Shifted(x, 3).ge(Scalars.Of((long)(rate * (1L << Bits))));
        return atLeast.to(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <summary>Derives one of several keys from a key.</summary>
    public static ulong Key(ulong key, ulong part) => Mix(key ^ unchecked(part * 0x9E3779B97F4A7C15));

    public void Dispose()
    {
        Array.ForEach(shifts, shift => shift.Dispose());
        Array.ForEach(masks, mask => mask.Dispose());
    }

    /// <summary>Shifts right and fills with zeros. libtorch's own shift copies the sign.</summary>
    Tensor Shifted(Tensor x, int index) => x.bitwise_right_shift(shifts[index]).bitwise_and_(masks[index]);

    static ulong Mix(ulong value) => RandomNumbers.Next(ref value);

    Tensor Number(long value) => Tensors.Keep(Tensors.Upload<long>([value], device, 1));
}
