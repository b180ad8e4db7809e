namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>What the command line asks for.</summary>
sealed record Request(IReadOnlyList<string> Words, string? Device, bool Lists)
{
    public const string Help = """
        dotnet run -c Release --project test/Benchmarks [-p:Cuda=true] [-- [TABLE] [WORD]... [--device D] [--list]]

        Runs all comparisons; or those of a table; or those with every word in their names.
        --device D   where the TorchSharp engine is measured, such as cuda:0 or cpu.
                     Default: a GPU where libtorch can use one, which takes -p:Cuda=true; else the CPU.
        --list       prints the names of the comparisons, and runs none.

        dotnet run -c Release --project test/Benchmarks -- defaults [--seeds N] [WORD]...

        Compares how well the default trainers and those of ML.NET predict: by cross-validation, on the data sets with
        every word in their names. --seeds says with how many seeds; default: 10.

        mpirun -n 2 dotnet test/Benchmarks/bin/Release/net10.0/Microsoft.ML.BatchNorm.Benchmarks.dll ranks

        Measures messages between ranks and steps on them, and models how training scales up to 1,024 ranks.
        """;

    /// <summary>Null where the command line cannot be understood.</summary>
    public static Request? Of(string[] arguments)
    {
        var words = new List<string>();
        string? device = null;
        bool lists = false;
        for (int i = 0; i < arguments.Length; i++)
        {
            switch (arguments[i])
            {
                case "--device" when i + 1 < arguments.Length:
                    device = arguments[++i];
                    break;
                case "--list":
                    lists = true;
                    break;
                case ['-', ..]:
                    return null;
                default:
                    words.Add(arguments[i]);
                    break;
            }
        }
        return new Request(words, device, lists);
    }

    /// <summary>The tables that are named, or all, each with the comparisons that have the other words.</summary>
    public Table[] Choose(Table[] tables)
    {
        Table[] named = [.. tables.Where(table => Words.Contains(table.Name, StringComparer.OrdinalIgnoreCase))];
        string[] rest = [.. Words.Except(tables.Select(table => table.Name), StringComparer.OrdinalIgnoreCase)];
        return [..
            from table in named.Length > 0 ? named : tables
            let chosen = table.Comparisons.Where(comparison => rest.All(
                word => comparison.Name.Contains(word, StringComparison.OrdinalIgnoreCase)))
            where chosen.Any()
            select table with { Comparisons = chosen }];
    }
}
