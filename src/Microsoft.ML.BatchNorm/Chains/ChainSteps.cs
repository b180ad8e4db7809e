using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// The steps of a model in the order in which they are applied: those of a chain, and of the chains within it. A model
/// that is no chain is its only step.
/// </summary>
static class ChainSteps
{
    public static IEnumerable<ITransformer> Of(ITransformer model) => WithScopes(model).Select(step => step.Step);

    /// <summary>
    /// The steps with the scope that each has in common with the chains around it. A fit applies all steps, and
    /// <c>Transform</c> those with <see cref="TransformerScope.Scoring"/>.
    /// </summary>
    public static IEnumerable<(ITransformer Step, TransformerScope Scope)> WithScopes(
        ITransformer model, TransformerScope scope = TransformerScope.Everything) =>
        model is ITransformerChainAccessor chain
            ? chain.Transformers.Zip(chain.Scopes).SelectMany(step => WithScopes(step.First, scope & step.Second))
            : [(model, scope)];

    public static IEnumerable<T> Find<T>(ITransformer model) => Of(model).OfType<T>();

    /// <summary>
    /// The model with other steps in the place of its own. Chains keep their type, their nesting and their scopes; a
    /// chain in which nothing is replaced stays the same object.
    /// </summary>
    /// <param name="model">The model; it does not change.</param>
    /// <param name="replace">
    /// Gives a step of the same type, or the step itself. It is called once per step, in the order of
    /// <see cref="Of(ITransformer)"/>.
    /// </param>
    public static TModel Replace<TModel>(TModel model, Func<ITransformer, ITransformer> replace)
        where TModel : class, ITransformer =>
        (TModel)Replaced(model, replace);

    static ITransformer Replaced(ITransformer model, Func<ITransformer, ITransformer> replace)
    {
        if (model is not ITransformerChainAccessor chain)
            return replace(model);
        ITransformer[] steps = Array.ConvertAll(chain.Transformers, step => Replaced(step, replace));
        return steps.SequenceEqual(chain.Transformers, ReferenceEqualityComparer.Instance)
            ? model
            : (ITransformer)Activator.CreateInstance(model.GetType(), steps, chain.Scopes)!;
    }
}

/// <summary>Rows on their way through the steps of a chain, read when a cursor asks for them.</summary>
/// <remarks>
/// Rows may lack columns that only some of the steps need, such as the label. A step that reads such a column is left
/// out, and what it would make does not exist for the steps behind it, not even if the rows have a column of that name:
/// whatever comes out is what the whole chain would give. That is known of the steps that map columns one to one, of
/// concatenation and of selection. Other steps give ML.NET's error.
/// </remarks>
/// <param name="env">The environment.</param>
/// <param name="rows">The rows that go into the chain.</param>
sealed class ChainRows(IHostEnvironment env, IDataView rows)
{
    /// <summary>The columns that a step did not make, with the missing column that each needs.</summary>
    readonly Dictionary<string, string> absent = [];

    /// <summary>The rows behind the steps so far.</summary>
    public IDataView View { get; private set; } = rows;

    /// <summary>Passes the rows through a step, which is not a chain.</summary>
    /// <param name="step">The step.</param>
    /// <param name="training">Whether what comes next is fitted to the rows, as when an estimator chain is.</param>
    public void Pass(ITransformer step, bool training = false)
    {
        if (step is ColumnSelectingTransformer select && select.SelectColumns.Any(IsMissing))
        {
            string[] columns = [.. select.SelectColumns];
            View = new ColumnSelectingTransformer(
                env, select.KeepColumns ? columns : null, select.KeepColumns ? null : columns, select.KeepHidden,
                ignoreMissing: true).Transform(View);
        }
        else if (MissingInput(step) is { } missing)
        {
            LeaveOut(Outputs(step), Cause(missing));
        }
        else
        {
            View = training && step is ITransformerWithDifferentMappingAtTrainingTime mapping
                ? mapping.TransformForTrainingPipeline(View)
                : step.Transform(View);
        }
    }

    /// <summary>The rows that go into a layer.</summary>
    /// <exception cref="ArgumentOutOfRangeException">They lack a column that it depends on.</exception>
    public IDataView For(BatchNormalizationTransformer layer)
    {
        foreach (string column in layer.Columns.Select(column => column.InputColumnName)
            .Append(layer.Settings.MaskColumnName).OfType<string>())
        {
            if (IsLeftOut(column))
            {
                throw env.ExceptUserArg(
                    nameof(rows),
                    $"The rows have no column '{Cause(column)}', from which column '{column}' is made, and a batch " +
                    "normalization layer depends on that.");
            }
        }
        return View;
    }

    /// <summary>Whether a step that was left out would have made the column.</summary>
    bool IsLeftOut(string column) => IsMissing(column) && absent.ContainsKey(column);

    void LeaveOut(IEnumerable<string> outputs, string cause)
    {
        string[] names = [.. outputs.Distinct()];
        foreach (string name in names)
            absent[name] = cause;
        string[] stale = [.. names.Where(name => !IsMissing(name))];
        if (stale.Length > 0)
            View = ColumnSelectingTransformer.CreateDrop(env, View, stale);
    }

    string? MissingInput(ITransformer step) => step switch
    {
        BatchNormalizationTransformer { Settings.MaskColumnName: { } mask } when IsLeftOut(mask) => mask,
        OneToOneTransformerBase columns =>
            columns.ColumnPairs.Select(pair => pair.inputColumnName).FirstOrDefault(IsMissing),
        ColumnConcatenatingTransformer concatenation =>
            concatenation.Columns.SelectMany(column => column.inputColumnNames).FirstOrDefault(IsMissing),
        _ => null,
    };

    static IEnumerable<string> Outputs(ITransformer step) => step switch
    {
        OneToOneTransformerBase columns => columns.ColumnPairs.Select(pair => pair.outputColumnName),
        ColumnConcatenatingTransformer concatenation =>
            concatenation.Columns.Select(column => column.outputColumnName),
        _ => [],
    };

    bool IsMissing(string column) => View.Schema.GetColumnOrNull(column) is null;

    string Cause(string missing) => absent.GetValueOrDefault(missing, missing);
}
