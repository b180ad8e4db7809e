namespace Microsoft.ML.Transforms;

/// <summary>Which statistics normalize the data that the estimators further down a chain are trained on.</summary>
public enum DownstreamStatistics
{
    /// <summary>The moving statistics, as at prediction time. The default.</summary>
    Moving,

    /// <summary>
    /// The own statistics of each batch of consecutive rows, as training mode gives them to the layers behind it. With
    /// a mask column they are those of the rows that it shows; the others are normalized with them too, and a batch
    /// that it hides whole takes the moving ones.
    /// </summary>
    /// <remarks>
    /// ML.NET asks each transformer of a chain for them, but not a chain within a chain: estimators behind an inner
    /// chain are trained on the moving statistics of the layers in it. Append to one chain instead.
    /// </remarks>
    Batch,
}
