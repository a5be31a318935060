using BenchmarkDotNet.Running;
using LdlVk;
using LdlVk.Bench;

// dotnet run -c Release --project bench/LdlVk.Bench -- --filter '*'    the benchmarks
// bench/peers/run                                                      LdlVk and other runtimes side by side
// dotnet run -c Release --project bench/LdlVk.Bench -- load FOLDER DEVICE [WEIGHTS]    loading beside copying
// dotnet run -c Release --project bench/LdlVk.Bench -- serve [--model FOLDER] [--device DEVICE] [--seconds N]    the server beside scoring without one
// dotnet run -c Release --project bench/LdlVk.Bench -- cache [--model FOLDER] [--device DEVICE] [--prompts N] [--rounds N] [--rate N]    the server with its prompt cache beside the server without
// dotnet run -c Release --project bench/LdlVk.Bench -- kernels [--device N] [--rows N] [--tilings N] [--all]    what a driver makes of the kernels
// bench/kernels [--record]                                             what the lab's drivers make of those on matrix units, beside what is recorded
if (args is ["load", var folder, var device, .. var rest])
{
    LoadSpeed.Run(folder, device, rest is [var weights] ? Enum.Parse<WeightFormat>(weights, ignoreCase: true) : null);
    return;
}

if (args is ["serve", .. var serving])
{
    await ServeBench.RunAsync(serving);
    return;
}

if (args is ["cache", .. var caching])
{
    await CacheBench.RunAsync(caching);
    return;
}

if (args is ["kernels", .. var compiling])
{
    KernelTable.Print(compiling);
    return;
}

if (args is not ["peers", .. var flags])
{
    BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
    return;
}

PeerSettings settings = PeerSettings.Parse(flags);
Peers peers = new(settings);
if (settings.Families) FamilyPeers.Run(settings);
else if (settings.Accuracy) peers.Errors();
else if (settings.Cold) peers.ColdStarts();
else peers.Speed();
