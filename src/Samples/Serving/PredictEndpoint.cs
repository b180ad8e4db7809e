using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Serving;

/// <summary>Reads a request, and answers it or says what is wrong with it.</summary>
static class PredictEndpoint
{
    const string Form = """{"pixels": [64 numbers]}""";

    public static async Task<IResult> Answer(HttpRequest request, Predictor predictor, RequestLog log)
    {
        Digit? digit;
        try
        {
            digit = await JsonSerializer.DeserializeAsync<Digit>(
                request.Body, JsonSerializerOptions.Web, request.HttpContext.RequestAborted);
        }
        catch (JsonException error)
        {
            return Refuse(log, StatusCodes.Status400BadRequest, $"The body must be JSON: {Form}. {error.Message}");
        }
        catch (BadHttpRequestException error)
        {
            return Refuse(log, error.StatusCode, error.Message);
        }
        if (Fault(digit?.Pixels) is { } fault)
            return Refuse(log, StatusCodes.Status400BadRequest, fault);
        Prediction prediction = predictor.Predict(digit!);
        log.Answered();
        return TypedResults.Ok(new Reply((int)prediction.PredictedLabel - 1, prediction.Score));
    }

    /// <summary>What is wrong with the pixels, or null where nothing is.</summary>
    static string? Fault(float[]? pixels)
    {
        if (pixels is null)
            return $"There are no pixels; the body must be {Form}.";
        if (pixels.Length != Digit.PixelCount)
            return $"There are {pixels.Length} pixels instead of {Digit.PixelCount}.";
        int bad = Array.FindIndex(pixels, pixel => !float.IsFinite(pixel));
        return bad >= 0 ? $"Pixel {bad} is not a finite number of single precision." : null;
    }

    static ProblemHttpResult Refuse(RequestLog log, int status, string fault)
    {
        log.Refused();
        return TypedResults.Problem(fault, statusCode: status);
    }

    sealed record Reply(int Digit, float[] Probabilities);
}
