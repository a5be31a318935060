using BenchmarkDotNet.Running;
using LdlVk.Bench;

// dotnet run -c Release --project bench/LdlVk.Bench -- --filter '*'    the benchmarks
// bench/peers/run                                                      LdlVk and other runtimes side by side
if (args is not ["peers", .. var flags])
{
    BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
    return;
}

PeerSettings settings = PeerSettings.Parse(flags);
Peers peers = new(settings);
if (settings.Accuracy) peers.Errors();
else peers.Speed();
