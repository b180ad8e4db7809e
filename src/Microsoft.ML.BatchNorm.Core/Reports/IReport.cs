namespace Microsoft.ML.BatchNorm.Reports;

/// <summary>Something that is looked at as a page of its own, or as a part of a notebook's.</summary>
interface IReport
{
    string Title { get; }

    /// <summary>What is below the title, as HTML.</summary>
    string Body();
}
