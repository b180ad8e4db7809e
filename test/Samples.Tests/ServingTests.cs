using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace Samples.Tests;

[TestClass]
public partial class ServingTests
{
    const int Requests = 10_000, Connections = 16, Images = 500;

    static readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("serving-");
    static readonly string model = Path.Combine(folder.FullName, "model.zip");
    static readonly CancellationTokenSource limit = new();

    static ServerProcess? server;

    /// <summary>The first start makes the model.</summary>
    [ClassInitialize]
    public static async Task Start(TestContext context)
    {
        limit.CancelAfter(TimeSpan.FromMinutes(5));
        server = await ServerProcess.Start(model, limit.Token);
    }

    [ClassCleanup]
    public static void Stop()
    {
        server?.Dispose();
        limit.Dispose();
        folder.Delete(recursive: true);
    }

    [TestMethod]
    public async Task Ten_thousand_requests_from_sixteen_connections_get_the_model_s_own_answers()
    {
        Image[] images = CreateImages();
        (uint Label, float[] Scores)[] expected = OwnAnswers(images);
        Assert.IsTrue(expected.DistinctBy(answer => answer.Label).Count() >= 5);
        string[] bodies = Array.ConvertAll(images, image => JsonSerializer.Serialize(image, JsonSerializerOptions.Web));

        await Task.WhenAll(Enumerable.Range(0, Connections).Select(async connection =>
        {
            using HttpClient client = Connect();
            for (int i = connection; i < Requests; i += Connections)
            {
                using HttpResponseMessage response = await Post(client, bodies[i % Images]);
                Assert.AreEqual(HttpStatusCode.OK, response.StatusCode);
                JsonNode answer = JsonNode.Parse(await response.Content.ReadAsStringAsync(limit.Token))!;
                Assert.AreEqual((int)expected[i % Images].Label - 1, (int)answer["digit"]!);
                float[] scores = [.. answer["probabilities"]!.AsArray().Select(score => (float)score!)];
                CollectionAssert.AreEqual(expected[i % Images].Scores, scores);
            }
        }));
        await server!.WaitForLine(line => Progress().Match(line) is { Success: true } match
            && int.Parse(match.Groups["answered"].Value, CultureInfo.InvariantCulture) >= Requests, limit.Token);
    }

    [TestMethod]
    public async Task Its_first_page_has_a_command_that_works_as_it_stands()
    {
        using HttpClient client = Connect();
        string page = await client.GetStringAsync(new Uri("/", UriKind.Relative), limit.Token);
        string command = page.Split('\n').Single(line => line.StartsWith("curl ", StringComparison.Ordinal)).TrimEnd();
        string[] parts = command.Split('\'');
        Assert.AreEqual("curl -d ", parts[0]);
        using HttpResponseMessage response = await client.PostAsync(
            new Uri(parts[2]), new StringContent(parts[1], Encoding.UTF8, "application/x-www-form-urlencoded"),
            limit.Token);
        Assert.AreEqual(HttpStatusCode.OK, response.StatusCode);
        Assert.AreEqual(0, (int)JsonNode.Parse(await response.Content.ReadAsStringAsync(limit.Token))!["digit"]!);
    }

    [TestMethod]
    public async Task It_tells_written_digits_apart()
    {
        using HttpClient client = Connect();
        string[] lines = DigitLines()[..100];
        int right = 0;
        foreach (string line in lines)
        {
            float[] numbers = [.. line.Split(',').Select(text => float.Parse(text, CultureInfo.InvariantCulture))];
            var image = new Image { Pixels = [.. numbers[..64].Select(pixel => pixel / 16)] };
            using HttpResponseMessage response =
                await Post(client, JsonSerializer.Serialize(image, JsonSerializerOptions.Web));
            JsonNode answer = JsonNode.Parse(await response.Content.ReadAsStringAsync(limit.Token))!;
            right += (int)answer["digit"]! == (int)numbers[64] ? 1 : 0;
        }
        Assert.IsGreaterThan(95, right);
    }

    [TestMethod]
    [DataRow("digits", "must be JSON")]
    [DataRow("", "must be JSON")]
    [DataRow("""{"pixels": [1, 2""", "must be JSON")]
    [DataRow("""{"pixels": [1, "ink"]}""", "$.pixels[1]")]
    [DataRow("""{"pixels": [1, null]}""", "$.pixels[1]")]
    [DataRow("""{"pixels": [1, NaN]}""", "must be JSON")]
    [DataRow("""{"pixels": [1, 2, 3]}""", "3 pixels instead of 64")]
    [DataRow("""{"pixels": []}""", "0 pixels instead of 64")]
    [DataRow("""{"pixels": null}""", "There are no pixels")]
    [DataRow("null", "There are no pixels")]
    public async Task A_bad_request_is_400_and_told_what_is_wrong(string body, string detail) =>
        await AssertRefused(body, HttpStatusCode.BadRequest, detail);

    [TestMethod]
    [DataRow("1.5")]
    [DataRow("-0.001")]
    [DataRow("3e38")]
    [DataRow("1e39")]
    [DataRow("-1e999")]
    [DataRow("\"NaN\"")]
    [DataRow("\"Infinity\"")]
    public async Task A_pixel_that_is_not_from_0_to_1_is_400(string pixel)
    {
        string[] pixels = [.. Enumerable.Repeat("1", 63), pixel];
        await AssertRefused($$"""{"pixels": [{{string.Join(',', pixels)}}]}""", HttpStatusCode.BadRequest, "Pixel 63");
    }

    [TestMethod]
    public async Task A_body_that_is_too_large_is_413() =>
        await AssertRefused(new string(' ', 20_000), HttpStatusCode.RequestEntityTooLarge, "too large");

    [TestMethod]
    public async Task A_server_with_a_model_loads_it_and_gives_the_same_answers()
    {
        byte[] before = await File.ReadAllBytesAsync(model, limit.Token);
        using ServerProcess second = await ServerProcess.Start(model, limit.Token);
        CollectionAssert.AreEqual(before, await File.ReadAllBytesAsync(model, limit.Token));
        string body = JsonSerializer.Serialize(CreateImages()[0], JsonSerializerOptions.Web);
        using HttpClient one = Connect(), other = new() { BaseAddress = second.Address };
        using HttpResponseMessage left = await Post(one, body), right = await Post(other, body);
        Assert.AreEqual(
            await left.Content.ReadAsStringAsync(limit.Token), await right.Content.ReadAsStringAsync(limit.Token));
    }

    static async Task AssertRefused(string body, HttpStatusCode status, string detail)
    {
        using HttpClient client = Connect();
        using HttpResponseMessage response = await Post(client, body);
        Assert.AreEqual(status, response.StatusCode);
        Assert.AreEqual("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        JsonNode problem = JsonNode.Parse(await response.Content.ReadAsStringAsync(limit.Token))!;
        StringAssert.Contains((string?)problem["detail"], detail);
        Assert.AreEqual((int)status, (int)problem["status"]!);
    }

    [GeneratedRegex("(?<answered>[0-9]+) requests answered")]
    private static partial Regex Progress();

    static HttpClient Connect() =>
        new(new SocketsHttpHandler { MaxConnectionsPerServer = 1 }) { BaseAddress = server!.Address };

    static Task<HttpResponseMessage> Post(HttpClient client, string body) => client.PostAsync(
        new Uri("predict", UriKind.Relative), new StringContent(body, Encoding.UTF8, "application/json"), limit.Token);

    /// <summary>What ML.NET makes of all images in one pass over a data view.</summary>
    static (uint Label, float[] Scores)[] OwnAnswers(Image[] images)
    {
        var mlContext = new MLContext();
        IDataView answers = mlContext.Model.Load(model, out _).Transform(mlContext.Data.LoadFromEnumerable(images));
        return [.. answers.GetColumn<uint>("PredictedLabel").Zip(answers.GetColumn<float[]>("Score"))];
    }

    static string[] DigitLines()
    {
        string path = Path.Combine(DotNetBuild.Root, "src", "Samples", "data", "digits.csv.gz");
        using var reader = new StreamReader(new GZipStream(File.OpenRead(path), CompressionMode.Decompress));
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    static Image[] CreateImages()
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, Images).Select(_ => new Image
        {
            Pixels = [.. Enumerable.Range(0, 64).Select(_ => random.NextSingle())],
        })];
    }

    sealed class Image
    {
        [VectorType(64)]
        public float[] Pixels { get; set; } = [];
    }
}
