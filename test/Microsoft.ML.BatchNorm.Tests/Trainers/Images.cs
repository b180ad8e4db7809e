using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>Small images of two classes, in a column X of dimensions [2, 5, 4] with a key Label.</summary>
static class Images
{
    public static IDataView View(int count = 40)
    {
        float[] noise = Sample.Floats(count * 40, 3);
        SchemaDefinition definition = SchemaDefinition.Create(typeof(Image));
        definition["X"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, 2, 5, 4);
        return Transformer.View.ML.Data.LoadFromEnumerable(
            Enumerable.Range(0, count).Select(i => new Image
            {
                X = [.. noise[(40 * i)..(40 * i + 40)].Select(value => value + 2 * (i % 2))],
                Label = (uint)(i % 2),
            }),
            definition);
    }

    sealed class Image
    {
        public float[] X { get; set; } = [];

        [KeyType(2)]
        public uint Label { get; set; }
    }
}
