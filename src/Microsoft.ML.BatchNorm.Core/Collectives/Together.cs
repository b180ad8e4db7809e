using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What ranks do so that none fails alone, between two calls of the collective, while the others wait for it: an error
/// on one rank becomes an error on all.
/// </summary>
static class Together
{
    /// <summary>The most bytes of a message that other ranks get.</summary>
    const int MessageBytes = 1024;

    /// <summary>The collective, or null if it has one rank: then there is nothing to exchange.</summary>
    public static ICollective? IfSeveral(this ICollective? ranks) => ranks is { Size: > 1 } ? ranks : null;

    /// <summary>
    /// Does some work on each rank; if it throws on one, all ranks throw, and the others dispose their results. One
    /// message.
    /// </summary>
    /// <param name="ranks">The ranks; null for one.</param>
    /// <param name="work">The work, which makes no call of the collective.</param>
    public static T Do<T>(this ICollective? ranks, Func<T> work)
    {
        if (ranks is null)
            return work();
        T? result = default;
        Exception? error = null;
        try
        {
            result = work();
        }
        catch (Exception exception)
        {
            error = exception;
        }
        try
        {
            ranks.ThrowIfAny(error);
            return result!;
        }
        catch
        {
            (result as IDisposable)?.Dispose();
            throw;
        }
    }

    /// <inheritdoc cref="Do{T}"/>
    public static void Do(this ICollective? ranks, Action work) => ranks.Do(() =>
    {
        work();
        return 0;
    });

    /// <summary>Throws on all ranks if one of them has an error. One message, and one more if so.</summary>
    public static void ThrowIfAny(this ICollective ranks, Exception? error)
    {
        Span<byte> kinds = new byte[ranks.Size];
        ranks.Gather([(byte)RankError.KindOf(error)], kinds);
        int failed = kinds.IndexOfAnyExcept((byte)RankErrorKind.None);
        if (failed >= 0)
            ranks.Throw(error, failed, (RankErrorKind)kinds[failed]);
    }

    /// <summary>Throws on all ranks when they know that one has an error. One message.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="error">This rank's error, or null.</param>
    /// <param name="failed">The first rank that has one.</param>
    /// <param name="kind">The kind of that.</param>
    [DoesNotReturn]
    public static void Throw(this ICollective ranks, Exception? error, int failed, RankErrorKind kind)
    {
        byte[] mine = new byte[MessageBytes], all = new byte[MessageBytes * ranks.Size];
        Encoding.UTF8.GetEncoder().Convert(error?.Message ?? "", mine, flush: true, out _, out _, out _);
        ranks.Gather(mine, all);
        if (error is not null)
            ExceptionDispatchInfo.Throw(error);
        string text = Encoding.UTF8.GetString(all.AsSpan(failed * MessageBytes, MessageBytes).TrimEnd((byte)0));
        throw RankError.Of(kind, $"Rank {failed}: {text}");
    }

    /// <summary>Gives a value of each rank to all, in the order of the ranks. One message.</summary>
    public static T[] Gather<T>(this ICollective ranks, T mine) where T : unmanaged
    {
        var all = new T[ranks.Size];
        ranks.Gather(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in mine)), MemoryMarshal.AsBytes(all.AsSpan()));
        return all;
    }
}

/// <summary>The kinds of errors that other ranks tell apart.</summary>
enum RankErrorKind : byte
{
    None,
    Canceled,
    InvalidData,
    Argument,
    IO,
    NotSupported,
    Other,
}

/// <summary>An error of one rank, as it is on the others.</summary>
static class RankError
{
    public static RankErrorKind KindOf(Exception? error) => error switch
    {
        null => RankErrorKind.None,
        OperationCanceledException => RankErrorKind.Canceled,
        InvalidDataException => RankErrorKind.InvalidData,
        ArgumentException => RankErrorKind.Argument,
        IOException => RankErrorKind.IO,
        NotSupportedException => RankErrorKind.NotSupported,
        _ => RankErrorKind.Other,
    };

    public static Exception Of(RankErrorKind kind, string message) => kind switch
    {
        RankErrorKind.Canceled => new OperationCanceledException(message),
        RankErrorKind.InvalidData => new InvalidDataException(message),
        RankErrorKind.Argument => new ArgumentException(message),
        RankErrorKind.IO => new IOException(message),
        RankErrorKind.NotSupported => new NotSupportedException(message),
        _ => new InvalidOperationException(message),
    };
}
