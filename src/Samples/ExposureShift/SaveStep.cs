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
            "The state and its options go to a file, and both come back. Their own format keeps every bit; " +
            "safetensors, which PyTorch and Keras can read, has no place for InitialWeight.");
        float[] expected = Modes.Infer(options, fitted, test);
        Show.Table(
            ["written with", "bytes", "outputs", "all the same", "state the same"],
            Row("Save", stream => fitted.Save(stream, options), BatchNormalizationState.Load),
            Row(
                "SaveSafetensors", stream => fitted.SaveSafetensors(stream, options, "bn1."),
                stream => BatchNormalizationState.LoadSafetensors(stream, "bn1.")));

        string[] Row(string name, Action<Stream> save, Func<Stream, SavedBatchNormalization> load)
        {
            string path = Path.GetTempFileName();
            try
            {
                using (FileStream file = File.Create(path))
                    save(file);
                using FileStream saved = File.OpenRead(path);
                SavedBatchNormalization loaded = load(saved);
                float[] outputs = Modes.Infer(loaded.Options, loaded.State, test);
                bool same = MemoryMarshal.AsBytes<float>(outputs).SequenceEqual(MemoryMarshal.AsBytes<float>(expected));
                return
                [
                    name, $"{saved.Length:N0}", $"{outputs.Length:N0}", Show.YesNo(same),
                    Show.YesNo(loaded.State.Equals(fitted)),
                ];
            }
            finally
            {
                File.Delete(path);
            }
        }
    }
}
