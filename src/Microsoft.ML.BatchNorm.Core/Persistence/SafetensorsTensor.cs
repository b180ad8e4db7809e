namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>A tensor to be written: its entry in the header, and what writes its values.</summary>
sealed record SafetensorsTensor(string Name, string Dtype, SafetensorsShape Shape, Action<ByteSink> Write)
{
    public long Bytes => Shape.First * Shape.Second * Shape.Third * Shape.Fourth * SafetensorsEntry.SizeOf(Dtype);
}
