using System.IO.Compression;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class OtherFileTests
{
    static readonly Network network = Network.Input(2).Dense(2, name: "fc");

    [TestMethod]
    public void A_zip_archive_of_torch_save_or_Keras_given_as_safetensors_is_named_with_the_way_out()
    {
        var stream = new MemoryStream();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            using Stream entry = archive.CreateEntry("archive/data.pkl").Open();
            entry.Write(new byte[1000]);
        }
        IsOther(
            stream.ToArray(), "This is not a safetensors file. It is a zip archive", "torch.save", ".keras", ".npz",
            "safetensors.torch.save_file(model.state_dict(), path)", "safetensors.numpy.save_file");
        // With lengths of zero, the archive's first bytes are a length that a header can have.
        IsOther([.. "PK\u0003\u0004"u8, .. new byte[52]], "a zip archive");
    }

    [TestMethod]
    public void Files_of_other_formats_given_as_safetensors_are_named()
    {
        IsOther([0x89, .. "HDF\r\n"u8, 0x1A, .. "\n"u8, .. new byte[90]], "an HDF5 file", ".h5", "for w in l.weights");
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(new byte[1000]);
        IsOther(packed.ToArray(), "compressed with gzip", "Decompress it first");
        IsOther([0x80, 2, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20], "a Python pickle", "save_file");
        IsOther([0x80, 4, 0x95, 5, 0, 0, 0, 0, 0, 0, 0, 0x8C], "a Python pickle");
        IsOther([0x08, 0x08, 0x12, 0x07, .. "pytorch"u8, 0x1A, 0x05], "an ONNX model", "OnnxImport.Load", "onnx.numpy_helper.to_array");
        IsOther([0x93, .. "NUMPY"u8, 1, 0, 0x76, 0], "a NumPy array");
        IsOther([.. "GGUF"u8, 3, 0, 0, 0, 9, 0], "a GGUF file");
        IsOther("<!DOCTYPE html><html>"u8, "a page of HTML or XML", "download");
        IsOther("version https://git-lfs.github.com/spec/v1\n"u8, "a pointer of Git LFS", "git lfs pull");
        IsOther("{\"weight\": [1, 2, 3, 4]}"u8, "JSON");
    }

    [TestMethod]
    public void An_empty_file_given_as_safetensors_is_said_to_be_empty()
    {
        States.IsInvalid(() => States.LoadSafetensors([]), "The file is empty", "truncated");
        States.IsInvalid(() => SavedNetworks.LoadSafetensors(network, []), "The file is empty");
    }

    [TestMethod]
    public void A_file_of_this_library_s_own_formats_is_named_with_the_method_that_reads_it()
    {
        byte[] state = States.Save(States.Random(2, StateParts.All));
        byte[] saved = SavedNetworks.Save(network, network.Initialize());
        IsOther(state, "a state", "BatchNormalizationState.Load reads it");
        IsOther(saved, "a network", "Network.Load reads it");
        States.IsInvalid(
            () => Network.Load(new MemoryStream(state)), "This is not a network",
            "BatchNormalizationState.Load reads it");
        States.IsInvalid(
            () => States.Load(saved), "This is not a state of a batch normalization, but a network with its state.",
            "Network.Load reads it.");
        States.IsInvalid(() => TrainingCheckpoint.Load(new MemoryStream(saved)), "This is not a checkpoint");
        byte[] weights = SavedNetworks.SaveSafetensors(network, network.Initialize());
        States.IsInvalid(
            () => SavedNetworks.Load(weights), "This is not a network", "a safetensors file", "LoadSafetensors");
        States.IsInvalid(() => States.Load(weights), "a safetensors file", "LoadSafetensors");
        States.IsInvalid(() => SavedNetworks.Load([.. "PK\u0003\u0004"u8, .. new byte[52]]), "a zip archive");
    }

    [TestMethod]
    public void A_header_whose_length_reads_as_another_format_s_beginning_is_read_all_the_same()
    {
        // 1F 8B 08 00: gzip's first bytes, and a header of 559,903 bytes.
        const int length = 0x088B1F;
        string header = "{" + SafetensorsFile.Entry("running_mean", "F32", "1", 0, 4) + ","
            + SafetensorsFile.Entry("running_var", "F32", "1", 4, 8) + "}";
        byte[] file = SafetensorsFile.Of(header.PadRight(length), SafetensorsFile.Bytes(1f, 2f));
        Assert.AreEqual("1F8B0800", Convert.ToHexString(file, 0, 4));
        Assert.AreEqual(2.0, States.LoadSafetensors(file).MovingVariance[0]);
        States.IsInvalid(() => States.LoadSafetensors(file[..1000]), "The file is truncated");
    }

    static void IsOther(ReadOnlySpan<byte> file, params string[] fragments)
    {
        byte[] bytes = file.ToArray();
        States.IsInvalid(() => States.LoadSafetensors(bytes), fragments);
        States.IsInvalid(() => SavedNetworks.LoadSafetensors(network, bytes), fragments);
    }
}
