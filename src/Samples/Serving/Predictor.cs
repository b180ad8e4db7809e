using Microsoft.Extensions.ObjectPool;
using Microsoft.ML;

namespace Serving;

/// <summary>
/// A model that is loaded once and asked by many threads. It is safe from all of them; a prediction engine, which holds
/// the row that it works on, is one caller's at a time, so that they are lent and given back.
/// </summary>
sealed class Predictor(MLContext mlContext, string path)
{
    readonly ObjectPool<PredictionEngine<Digit, Prediction>> engines =
        new DefaultObjectPool<PredictionEngine<Digit, Prediction>>(
            new Policy(mlContext, mlContext.Model.Load(path, out _)));

    public Prediction Predict(Digit digit)
    {
        PredictionEngine<Digit, Prediction> engine = engines.Get();
        try
        {
            return engine.Predict(digit);
        }
        finally
        {
            engines.Return(engine);
        }
    }

    sealed class Policy(MLContext mlContext, ITransformer model)
        : PooledObjectPolicy<PredictionEngine<Digit, Prediction>>
    {
        public override PredictionEngine<Digit, Prediction> Create() =>
            mlContext.Model.CreatePredictionEngine<Digit, Prediction>(model);

        public override bool Return(PredictionEngine<Digit, Prediction> obj) => true;
    }
}
