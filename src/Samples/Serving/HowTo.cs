/// <summary>How to call the service.</summary>
static class HowTo
{
    /// <summary>A zero, in pixels of nothing but paper and ink.</summary>
    const string Pixels =
        "0,0,0,1,1,0,0,0,0,0,1,1,1,1,0,0,0,0,1,0,0,1,1,0,0,0,1,0,0,1,1,0," +
        "0,0,1,0,0,1,1,0,0,0,1,0,0,1,0,0,0,0,1,0,1,1,0,0,0,0,0,1,1,0,0,0";

    /// <param name="address">The address that the service has for its caller.</param>
    public static string Call(string address) =>
        $$"""
        POST 8 x 8 pixels, row by row from 0 for paper to 1 for ink, to /predict; this is a zero:
        curl -d '{"pixels":[{{Pixels}}]}' {{address}}/predict
        The answer is JSON with the digit and ten probabilities.
        """;
}
