using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Transformer;

namespace Microsoft.ML.BatchNorm.Tests.Networks;

[TestClass]
public class ApplyNetworkContractTests
{
    static readonly IDataView Rows = View.Vectors(View.Dense(View.Floats(20, 6)), 6);

    static readonly IDataView[] Invalid =
    [
        View.Scalars(1, 2),
        View.Scalars("one"),
        View.Scalars(1f, 2),
        View.Vectors(View.Dense(View.Doubles(2, 6)), 6),
        View.Vectors(View.Dense(View.Floats(2, 6)), 0),
        View.ML.Transforms.CopyColumns("Z", "X").Append(View.ML.Transforms.DropColumns("X")).Fit(Rows).Transform(Rows),
    ];

    [TestMethod]
    [DataRow("Y")]
    [DataRow("X", DisplayName = "in place")]
    public void It_keeps_ML_NET_s_contract_of_estimators(string output)
    {
        Network network = Network.Input(6).Dense(4).BatchNormalization().Gelu();
        EstimatorContract.Check(
            View.ML.Transforms.ApplyNetwork(
                output, Samples.Saved(network), inputColumnName: "X"),
            Rows, View.Vectors(View.Dense(View.Floats(5, 6, seed: 3)), 6), Invalid);
    }
}
