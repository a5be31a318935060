using BenchmarkDotNet.Running;

// dotnet run -c Release --project bench/LdlVk.Bench -- --filter '*'
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
