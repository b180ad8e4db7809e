using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

/// <summary>The names of a column's channels: those of its slots, where each is a channel and has one.</summary>
static class ChannelNames
{
    public static string[]? Of(DataViewSchema.Column column, ChannelLayout row)
    {
        if (row.Channels != row.Count || !column.HasSlotNames())
            return null;
        VBuffer<ReadOnlyMemory<char>> names = default;
        column.GetSlotNames(ref names);
        string[] texts = [.. names.DenseValues().Select(name => name.ToString())];
        return Array.TrueForAll(texts, text => text.Length > 0) ? texts : null;
    }
}
