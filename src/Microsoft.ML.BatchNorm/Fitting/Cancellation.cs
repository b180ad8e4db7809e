using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Cancels by a token what looks for the cancellation of an ML.NET host, as only ML.NET itself can ask for that.
/// </summary>
static class Cancellation
{
    /// <summary>Does some work with a host that is canceled with the token, and with <paramref name="host"/>.</summary>
    /// <exception cref="OperationCanceledException">Either was canceled.</exception>
    public static T Run<T>(IHost host, Func<IHost, T> work, CancellationToken token)
    {
        if (!token.CanBeCanceled)
            return work(host);
        token.ThrowIfCancellationRequested();
        // With a seed of its own it takes no random number from its parent. What is registered at a canceled host is
        // not canceled.
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
