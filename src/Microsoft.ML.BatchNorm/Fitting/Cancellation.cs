using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Lets a token cancel work that looks for the cancellation of an ML.NET host. Only ML.NET itself can cancel a host.
/// </summary>
static class Cancellation
{
    /// <summary>
    /// Does some work with a host that is canceled when the token or <paramref name="host"/> is canceled.
    /// </summary>
    /// <exception cref="OperationCanceledException">Either was canceled.</exception>
    public static T Run<T>(IHost host, Func<IHost, T> work, CancellationToken token)
    {
        if (!token.CanBeCanceled)
            return work(host);
        token.ThrowIfCancellationRequested();
        // With a seed of its own, the new host takes no random number from its parent. A host that is registered after
        // its parent was canceled is not canceled itself, so the parent is checked once more.
        IHost run = host.Register(nameof(Cancellation), seed: 0);
        host.CheckAlive();
        using CancellationTokenRegistration registration = token.Register(((ICancelable)run).CancelExecution);
        try
        {
            return work(run);
        }
        catch (OperationCanceledException error) when (token.IsCancellationRequested)
        {
            throw new OperationCanceledException(error.Message, error, token);
        }
    }
}
