namespace Microsoft.ML.BatchNorm.Tests.Trainers;

static class Messages
{
    /// <summary>A list that grows by each message that a context logs.</summary>
    public static List<string> Of(MLContext context)
    {
        List<string> messages = [];
        context.Log += (_, log) => messages.Add(log.RawMessage);
        return messages;
    }
}
