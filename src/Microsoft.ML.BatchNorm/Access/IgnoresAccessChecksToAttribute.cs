namespace System.Runtime.CompilerServices;

/// <summary>
/// Tells the runtime, which knows this attribute by name, to let this assembly use the internal members of another.
/// build/PublicReferences.targets applies it.
/// </summary>
[AttributeUsage(AttributeTargets.Assembly, AllowMultiple = true)]
sealed class IgnoresAccessChecksToAttribute(string assemblyName) : Attribute
{
    public string AssemblyName { get; } = assemblyName;
}
