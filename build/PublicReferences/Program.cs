// Makes the copies for PublicReferences.targets: one of each assembly on the list that is its argument, beside the
// list.

using PublicReferences;

string list = Path.GetFullPath(args.Single());
foreach (string original in File.ReadLines(list))
{
    byte[] image = File.ReadAllBytes(original);
    Visibility.Raise(image);
    string copy = Path.Combine(Path.GetDirectoryName(list)!, Path.GetFileName(original));
    // Never half a copy under the final name: a build that is stopped here must not look finished to the next.
    string unfinished = $"{copy}.{Environment.ProcessId}";
    File.WriteAllBytes(unfinished, image);
    File.Move(unfinished, copy, overwrite: true);
}
