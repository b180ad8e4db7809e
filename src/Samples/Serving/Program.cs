// Serves a saved model, to this machine only, until Ctrl+C. POST /predict with {"pixels": [64 numbers]}, from 0 for
// paper to 1 for ink; GET / says how. Options: --port PORT (5000; 0 for a free port), --model FILE (if there is none,
// it is trained).
using System.Net;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;

WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = 16 * 1024);
builder.WebHost.ConfigureKestrel(kestrel =>
    kestrel.Listen(IPAddress.Loopback, builder.Configuration.GetValue("port", 5000)));
builder.Logging.AddSimpleConsole(console => console.SingleLine = true);
builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
WebApplication app = builder.Build();

var mlContext = new MLContext(seed: 1);
string path = app.Configuration["model"] ?? Path.Combine(AppContext.BaseDirectory, "digits.zip");
if (!File.Exists(path))
    CreateModel();
ITransformer model = mlContext.Model.Load(path, out _);
// All threads may use the model; an engine holds the row that it works on, so each thread has its own.
using var engines = new ThreadLocal<PredictionEngine<Digit, Prediction>>(
    () => mlContext.Model.CreatePredictionEngine<Digit, Prediction>(model));

app.MapGet("/", (HttpRequest request) => Results.Text(HowTo.Call($"http://{request.Host}")));
app.Lifetime.ApplicationStarted.Register(() => Console.WriteLine(HowTo.Call(app.Urls.First())));
long answered = 0, refused = 0, logged = 0;
app.MapPost("/predict", async (HttpRequest request) =>
{
    try
    {
        Digit? digit = await JsonSerializer.DeserializeAsync<Digit>(request.Body, JsonSerializerOptions.Web);
        if (digit?.Pixels is not { Length: 64 } pixels)
            throw new BadHttpRequestException(
                $"There are {digit?.Pixels?.Length.ToString() ?? "no"} pixels instead of 64.");
        if (Array.FindIndex(pixels, pixel => pixel is not (>= 0 and <= 1)) is >= 0 and var bad)
            throw new BadHttpRequestException($"Pixel {bad} is not a number from 0 to 1.");
        Prediction prediction = engines.Value!.Predict(digit);
        Interlocked.Increment(ref answered);
        return Results.Ok(new { Digit = prediction.PredictedLabel - 1, Probabilities = prediction.Score });
    }
    catch (Exception error) when (error is JsonException or BadHttpRequestException)
    {
        Interlocked.Increment(ref refused);
        string fault = error is JsonException ? $"The body must be JSON. {error.Message}" : error.Message;
        int status = (error as BadHttpRequestException)?.StatusCode ?? StatusCodes.Status400BadRequest;
        return Results.Problem($$"""{{fault}} Expected: {"pixels": [64 numbers]}.""", statusCode: status);
    }
});

// A log line per request would cost more than the request: there is one per second that had any.
var log = LoggerMessage.Define<long, long, long>(
    LogLevel.Information, default, "{Answered} requests answered, {Refused} refused, {Rate} a second");
using var timer = new Timer(_ =>
{
    long now = answered + refused, before = Interlocked.Exchange(ref logged, now);
    if (now > before)
        log(app.Logger, answered, refused, now - before, null);
}, null, dueTime: 1000, period: 1000);
app.Run();

void CreateModel()
{
    Console.WriteLine($"There is no {path}: a model is trained on the digits and saved there.");
    (Digits digits, _) = Digits.Load();
    // A key that comes from a class counts from 0; in a view, and so in a prediction, it counts from 1.
    IDataView rows = mlContext.Data.LoadFromEnumerable(digits.Pixels.Chunk(64).Zip(
        digits.Labels, (pixels, label) => new Digit(pixels, (uint)label)));
    ITransformer fitted = mlContext.Transforms.BatchNormalization("Features", "Pixels")
        .Append(mlContext.MulticlassClassification.Trainers.BatchNormNetwork()).Fit(rows);
    // The file gets its name only when it is complete.
    mlContext.Model.Save(fitted, rows.Schema, $"{path}.{Environment.ProcessId}");
    File.Move($"{path}.{Environment.ProcessId}", path, overwrite: true);
}

sealed record Digit([property: VectorType(64)] float[]? Pixels, [property: KeyType(10)] uint Label = 0);

sealed class Prediction
{
    [KeyType(10)] public uint PredictedLabel { get; set; }
    public float[] Score { get; set; } = [];
}
