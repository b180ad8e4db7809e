using System.Text;
using System.Text.Json;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Describes the layers of several runs, so that two descriptions are equal only if all settings of the layers are.
/// </summary>
static class LayerSettings
{
    /// <summary>What a description has by itself.</summary>
    static readonly string[] described =
        ["kind", "trainable", "options.trainable", "options.updateStatistics", "options.trainAffine",
            "options.momentum", "options.epsilon"];

    /// <summary>The descriptions of each run's layers, by their paths.</summary>
    public static Dictionary<string, string>[] Of(IEnumerable<RunSetup> runs)
    {
        ILookup<(string Path, string Kind), Dictionary<string, string>> all = runs.SelectMany(run => run.Network.Nodes)
            .ToLookup(node => (node.Path, node.Layer.Kind), Settings);
        return [.. runs.Select(run => run.Network.Nodes.ToDictionary(
            node => node.Path, node => Describe(node, all[(node.Path, node.Layer.Kind)]) + Trained(run, node.Path)))];
    }

    /// <param name="node">The layer.</param>
    /// <param name="all">The settings of the layers of this kind and path in all runs.</param>
    static string Describe(NetworkNode node, IEnumerable<Dictionary<string, string>> all)
    {
        var text = new StringBuilder($"{node.Layer.Kind} {node.Output}");
        if (node.Layer is BatchNormalizationLayer { Options: var options })
            text.Append($", momentum {Html.Number(options.EffectiveMomentum)}")
                .Append($", ε {Html.Number(options.EffectiveEpsilon)}");
        foreach ((string name, string value) in Settings(node))
        {
            if (all.Any(other => other.GetValueOrDefault(name) != value))
                text.Append($", {Words(name)} {value}");
        }
        return text.ToString();
    }

    /// <summary>What the layer's definition in a file has, and a description has not by itself.</summary>
    static Dictionary<string, string> Settings(NetworkNode node)
    {
        Layer layer = node.Layer switch
        {
            BatchNormalizationLayer normalization =>
                normalization with { Options = normalization.Options.Or(BatchNormalizationOptions.Keras) },
            ActivationLayer { Function: Activation.LeakyReLU } leaky =>
                leaky with { NegativeSlope = leaky.EffectiveSlope },
            var other => other,
        };
        var settings = new Dictionary<string, string>();
        Add("", JsonSerializer.SerializeToElement(layer, Definition.TypeOf<Layer>()));
        return settings;

        void Add(string name, JsonElement value)
        {
            if (value.ValueKind != JsonValueKind.Object)
            {
                if (!described.Contains(name))
                    settings.Add(name, value.ToString());
                return;
            }
            foreach (JsonProperty property in value.EnumerateObject())
                Add(name.Length == 0 ? property.Name : $"{name}.{property.Name}", property.Value);
        }
    }

    /// <summary>"options.virtualBatchSize" as "virtual batch size".</summary>
    static string Words(string name)
    {
        var words = new StringBuilder();
        foreach (char letter in name.Replace("options.", "", StringComparison.Ordinal))
        {
            if (char.IsUpper(letter))
                words.Append(' ');
            words.Append(letter == '.' ? ' ' : char.ToLowerInvariant(letter));
        }
        return words.ToString();
    }

    static string Trained(RunSetup run, string path)
    {
        string[] trained = Array.ConvertAll(run.Phases.ToArray(), phase => Trained(phase.Network.GetNode(path)));
        return trained.Distinct().Count() == 1
            ? trained[0]
            : string.Concat(run.Phases.Zip(trained).Where(each => each.Second.Length > 0)
                .Select(each => $"{each.Second} in {each.First.Name}"));
    }

    static string Trained(NetworkNode node) => node.ParameterCount == 0 ? "" : Network.Switches(node) switch
    {
        "yes" => "",
        "no" => ", frozen",
        var switches => $", trained: {switches}",
    };
}
