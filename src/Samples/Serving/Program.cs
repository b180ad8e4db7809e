// Serves a saved model on this machine alone, until Ctrl+C: POST /predict with {"pixels": [64 numbers]}.
// --port PORT (5000; 0 for a free one), --model FILE (made from the digits where there is none).

using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.ML;
using Serving;

const int MaxBodyBytes = 16 * 1024;

WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel =>
{
    kestrel.Listen(IPAddress.Loopback, builder.Configuration.GetValue("port", 5000));
    kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
});
builder.Logging.AddSimpleConsole(console => console.SingleLine = true);
// A line a request would cost more than the request.
builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning);

var mlContext = new MLContext(seed: 1);
string path = builder.Configuration["model"] ?? Path.Combine(AppContext.BaseDirectory, "digits.zip");
if (!File.Exists(path))
{
    Console.WriteLine($"There is no {path}: it is made from the digits.");
    ModelFile.Create(mlContext, path);
}
builder.Services.AddSingleton(new Predictor(mlContext, path));
builder.Services.AddSingleton<RequestLog>();
builder.Services.AddHostedService(services => services.GetRequiredService<RequestLog>());

WebApplication app = builder.Build();
app.MapPost("/predict", PredictEndpoint.Answer);
app.Run();
