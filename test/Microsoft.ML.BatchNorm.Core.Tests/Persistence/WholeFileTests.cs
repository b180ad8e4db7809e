using Microsoft.ML.BatchNorm.Tests.Reports;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public sealed class WholeFileTests : IDisposable
{
    readonly string folder = Directory.CreateTempSubdirectory("whole-file-").FullName;

    string Report => Path.Combine(folder, "report.html");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [TestMethod]
    public void A_report_that_is_replaced_stays_whole_for_whoever_reads_it()
    {
        string old = ReportedRuns.Drift.ToHtml(title: "old");
        ReportedRuns.Drift.SaveHtml(Report, title: "old");
        using var reader = new StreamReader(Report);
        reader.Read();
        TrainingReport.Of(ReportedRuns.Planned).SaveHtml(Report);
        Assert.IsTrue(reader.ReadToEnd() == old[1..], "The old report changed under its reader.");
        Assert.AreEqual(TrainingReport.Of(ReportedRuns.Planned).ToHtml(), File.ReadAllText(Report));
    }

    [TestMethod]
    public void A_write_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it()
    {
        File.WriteAllText(Report, "old");
        Assert.ThrowsExactly<IOException>(() => WholeFile.Write(Report, stream =>
        {
            stream.Write("half of"u8);
            throw new IOException("the disk is full");
        }));
        Assert.AreEqual("old", File.ReadAllText(Report));
        CollectionAssert.AreEqual(new[] { Report }, Directory.GetFiles(folder));
    }

    [TestMethod]
    public void What_killed_runs_left_is_swept_and_what_is_being_written_or_another_s_is_not()
    {
        string dead = Left("report.html", TimeSpan.FromHours(1));
        string[] others =
        [
            Left("report.html", TimeSpan.FromSeconds(1)), Left("other.html", TimeSpan.FromHours(1)),
            Path.Combine(folder, "report.html.backup.tmp"),
        ];
        File.WriteAllText(others[2], "mine");
        File.SetLastWriteTimeUtc(others[2], DateTime.UtcNow.AddDays(-1));
        string held = Left("report.html", TimeSpan.FromHours(1));
        using (new FileStream(held, FileMode.Open, FileAccess.Write, FileShare.None))
        {
            ReportedRuns.Drift.SaveHtml(Report);
        }
        CollectionAssert.AreEquivalent((string[])[Report, held, .. others], Directory.GetFiles(folder));
        Assert.IsFalse(File.Exists(dead));

        string Left(string name, TimeSpan age)
        {
            string path = Path.Combine(folder, $"{name}.{Guid.NewGuid():N}.tmp");
            File.WriteAllText(path, "half of");
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow - age);
            return path;
        }
    }

    [TestMethod]
    public void A_link_stays_and_what_it_points_to_is_replaced()
    {
        if (OperatingSystem.IsWindows())
            Assert.Inconclusive("Links need a right of their own there.");
        string target = Path.Combine(folder, "target.html");
        File.WriteAllText(target, "old");
        File.CreateSymbolicLink(Report, target);
        ReportedRuns.Drift.SaveHtml(Report);
        Assert.AreEqual(target, new FileInfo(Report).LinkTarget);
        Assert.AreEqual(ReportedRuns.Drift.ToHtml(), File.ReadAllText(target));
        ReportedRuns.Drift.SaveHtml("/dev/null");
        Assert.IsTrue(File.Exists("/dev/null") && new FileInfo("/dev/null").Length == 0);
    }
}
