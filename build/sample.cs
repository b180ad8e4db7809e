#:property PublishAot=false
#:project Tools

// Builds the main sample in Release and runs it: dotnet run build/sample.cs [arguments of the sample]

return Tools.Build.AndRun("ExposureShift", args);
