namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>How an outer × channels × inner array is cut where the values of a channel lie in runs of inner.</summary>
readonly struct RunPlan
{
    const int LeastShardOuters = 4;
    const int MostShardOuters = 256;

    public RunPlan(ChannelLayout layout)
    {
        (Outer, Channels, Inner) = (layout.Outer, layout.Channels, layout.Inner);
        ShardOuters = Math.Clamp(
            ShardJob.ItemElements / (Channels * Inner), LeastShardOuters, MostShardOuters);
        Shards = (Outer + ShardOuters - 1) / ShardOuters;
        TileChannels = Math.Clamp(ShardJob.ItemElements / (Inner * Math.Min(ShardOuters, Outer)), 1, Channels);
        Tiles = (Channels + TileChannels - 1) / TileChannels;
    }

    int Outer { get; }

    public int Channels { get; }

    public int Inner { get; }

    public int Shards { get; }

    int ShardOuters { get; }

    int TileChannels { get; }

    int Tiles { get; }

    public int Items => Shards * Tiles;

    public nint Offset(int outer, int channel) => ((nint)outer * Channels + channel) * Inner;

    public Item ItemAt(int item)
    {
        int shard = item / Tiles, tile = item % Tiles;
        int firstOuter = shard * ShardOuters, firstChannel = tile * TileChannels;
        return new Item(
            shard, firstOuter, Math.Min(ShardOuters, Outer - firstOuter),
            firstChannel, Math.Min(TileChannels, Channels - firstChannel));
    }

    public readonly record struct Item(int Shard, int FirstOuter, int Outers, int FirstChannel, int Channels);
}
