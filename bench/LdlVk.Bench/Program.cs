using System.Globalization;
using BenchmarkDotNet.Running;
using LdlVk.Testing;

// dotnet run -c Release --project bench/LdlVk.Bench -- --filter '*'              the benchmarks
// dotnet run -c Release --project bench/LdlVk.Bench -- synthetic FOLDER LAYERS   a checkpoint of the 27B model's layer shapes, made up,
//                                                                                and FOLDER/512.jsonl, a text of 512 tokens to score
if (args is ["synthetic", var folder, var layers])
{
    SyntheticShape shape = SyntheticShape.TrueLayer with { Layers = int.Parse(layers, CultureInfo.InvariantCulture) };
    SyntheticCheckpoint.Write(folder, shape);
    IEnumerable<int> ids = Enumerable.Range(0, 512).Select(i => (i * 89) % shape.Vocabulary);
    File.WriteAllText(Path.Combine(folder, "512.jsonl"), $$"""{"input_ids":[{{string.Join(',', ids)}}]}""" + "\n");
}
else
{
    BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
}
