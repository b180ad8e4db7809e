using System.Buffers;
using System.Text.RegularExpressions;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>What holds for the loading of any damaged file, of any kind.</summary>
static partial class Damage
{
    public static void EveryTruncationIsInvalid<T>(byte[] bytes, Func<byte[], T> load)
    {
        for (int length = 0; length < bytes.Length; length++)
        {
            byte[] cut = bytes[..length];
            States.IsInvalid(() => load(cut), "truncated");
        }
    }

    public static void EveryFlippedBitIsInvalid<T>(byte[] bytes, Func<byte[], T> load)
    {
        for (int bit = 0; bit < bytes.Length * 8; bit++)
        {
            byte[] flipped = [.. bytes];
            flipped[bit / 8] ^= (byte)(1 << bit % 8);
            try
            {
                load(flipped);
            }
            catch (InvalidDataException error)
            {
                States.IsSentence(error.Message);
                continue;
            }
            Assert.Fail($"bit {bit % 8} of byte {bit / 8} may flip unnoticed");
        }
    }

    /// <summary>
    /// Loads what may be damaged within bounds of memory, so many bytes of each of the file's; null when it was
    /// refused.
    /// </summary>
    public static T? TryLoad<T>(byte[] bytes, Func<byte[], T> load, int ofEach = 8) where T : class
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        T? state = null;
        string? refusal = null;
        try
        {
            state = load(bytes);
        }
        catch (InvalidDataException error)
        {
            refusal = error.Message;
        }
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        long bound = 64 * 1024 + (long)ofEach * bytes.Length;
        if (allocated > bound)
            Assert.Fail($"{bytes.Length} bytes made loading allocate {allocated}, over {bound}");
        if (refusal is not null)
            States.IsSentence(refusal);
        return state;
    }

    /// <returns>How many of the mutations were refused.</returns>
    public static int Mutate<T>(byte[] original, int count, int seed, Func<byte[], T> load, int ofEach = 8)
        where T : class
    {
        T expected = load(original);
        var random = new Random(seed);
        int refused = 0;
        for (int i = 0; i < count; i++)
        {
            byte[] bytes = Mutation.Of(original, random);
            T? state = TryLoad(bytes, load, ofEach);
            if (state is null)
                refused++;
            else if (!state.Equals(expected))
                Assert.Fail($"mutation {i} of seed {seed} was loaded as another state");
        }
        return refused;
    }

    static readonly SearchValues<char> structure = SearchValues.Create("{}[]:,\"");

    static readonly string[] tokens =
    [
        "{", "}", "[", "]", ",", ":", "\"", "null", "true", "-1", "1.5", "1e3", "0", "3", "8", "9223372036854775807",
        "18446744073709551615", "\"F32\"", "\"F64\"", "\"F4\"", "\"I64\"", "\"I32\"", "\"BF16\"", "\"dtype\":",
        "\"shape\":", "\"data_offsets\":", "\"\\ud800\"", "\"\\u0000\"", "\"__metadata__\":{}", "\"\":{}", "//", " ",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "moving_mean", "weight", "NaN",
    ];

    /// <summary>JSON in which tokens stand in place of others.</summary>
    public static string MutateJson(string json, Random random)
    {
        for (int times = random.Next(1, 4); times > 0; times--)
        {
            int from = Boundary(json, random.Next(2) == 0 ? 0 : random.Next(json.Length + 1), random);
            int to = random.Next(3) == 0 ? from : Boundary(json, from, random);
            json = json[..from] + tokens[random.Next(tokens.Length)] + json[to..];
        }
        return json;

        static int Boundary(string text, int start, Random random)
        {
            start += random.Next(Math.Min(20, text.Length - start + 1)) * random.Next(1, 40);
            int at = start >= text.Length ? -1 : text.AsSpan(start).IndexOfAny(structure);
            return at < 0 ? text.Length : start + at;
        }
    }

    /// <summary>
    /// JSON in which a number, a name or a word stands in place of another, so that it often stays JSON.
    /// </summary>
    public static string MutateValue(string json, Random random)
    {
        MatchCollection values = Value().Matches(json);
        for (int times = random.Next(1, 3); times > 0; times--)
        {
            Match one = values[random.Next(values.Count)], other = values[random.Next(values.Count)];
            string value = random.Next(3) == 0 ? tokens[random.Next(tokens.Length)] : other.Value;
            json = json[..one.Index] + value + json[(one.Index + one.Length)..];
            values = Value().Matches(json);
        }
        return json;
    }

    [GeneratedRegex("\"[^\"]*\"|-?[0-9][0-9.eE+-]*|true|false|null")]
    private static partial Regex Value();
}
