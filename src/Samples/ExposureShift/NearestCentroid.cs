namespace ExposureShift;

/// <summary>
/// A very simple classifier: it keeps the average row of each digit, and predicts the digit whose average is nearest.
/// </summary>
sealed class NearestCentroid
{
    readonly float[][] centroids = [.. Enumerable.Range(0, Digits.Classes).Select(_ => new float[Digits.PixelCount])];

    /// <param name="rows">64 values per row.</param>
    /// <param name="labels">The digit of each row.</param>
    public NearestCentroid(float[] rows, int[] labels)
    {
        int[] count = new int[Digits.Classes];
        for (int row = 0; row < labels.Length; row++)
        {
            float[] centroid = centroids[labels[row]];
            count[labels[row]]++;
            for (int pixel = 0; pixel < Digits.PixelCount; pixel++)
                centroid[pixel] += (rows[row * Digits.PixelCount + pixel] - centroid[pixel]) / count[labels[row]];
        }
    }

    /// <summary>How many rows get the right digit.</summary>
    public int CountCorrect(float[] rows, int[] labels) =>
        Enumerable.Range(0, labels.Length).Count(
            row => Classify(rows.AsSpan(row * Digits.PixelCount, Digits.PixelCount)) == labels[row]);

    int Classify(ReadOnlySpan<float> row)
    {
        int nearest = 0;
        double least = double.PositiveInfinity;
        for (int digit = 0; digit < Digits.Classes; digit++)
        {
            double distance = 0;
            for (int pixel = 0; pixel < Digits.PixelCount; pixel++)
                distance += Math.Pow(row[pixel] - centroids[digit][pixel], 2);
            if (distance < least)
                (nearest, least) = (digit, distance);
        }
        return nearest;
    }
}
