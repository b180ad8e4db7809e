using System.Runtime.InteropServices;
using Microsoft.ML.BatchNorm;

namespace ExposureShift;

/// <summary>Saves the state, loads it, and compares.</summary>
static class SaveStep
{
    public static void Run(BatchNormalizationOptions options, BatchNormalizationState fitted, Digits test)
    {
        Show.Heading(
            5, "Save and load",
            "The state goes to a file and comes back. Its own format keeps every bit; safetensors, which PyTorch and " +
            "Keras can read, has no place for InitialWeight.");
        float[] expected = Layer.Infer(options, fitted, test);
        Show.Table(
            ["written with", "bytes", "outputs", "all the same", "state the same"],
            Row("Save", fitted.Save, BatchNormalizationState.Load),
            Row(
                "SaveSafetensors", stream => fitted.SaveSafetensors(stream, "bn1."),
                stream => BatchNormalizationState.LoadSafetensors(stream, "bn1.")));

        string[] Row(string name, Action<Stream> save, Func<Stream, BatchNormalizationState> load)
        {
            string path = Path.GetTempFileName();
            try
            {
                using (FileStream file = File.Create(path))
                    save(file);
                using FileStream saved = File.OpenRead(path);
                BatchNormalizationState loaded = load(saved);
                float[] outputs = Layer.Infer(options, loaded, test);
                bool same = MemoryMarshal.AsBytes<float>(outputs).SequenceEqual(MemoryMarshal.AsBytes<float>(expected));
                return
                [
                    name, $"{saved.Length:N0}", $"{outputs.Length:N0}", Show.YesNo(same),
                    Show.YesNo(loaded.Equals(fitted)),
                ];
            }
            finally
            {
                File.Delete(path);
            }
        }
    }
}
