using LdlVk.Cli.Bench;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Runtime;
using LdlVk.Runtime.Devices;
using LdlVk.Testing;

namespace LdlVk.Conformance;

/// <summary>
/// Times every op on every test device, so that also kernels that a device does not choose itself can be compared with those that it does;
/// of the latter alone it is what <c>ldlvk bench --ops</c> prints.
/// </summary>
internal static class Perf
{
    /// <summary><c>[SHAPE [FORMAT,…]]</c>: peer8 and fp16,int8 unless given.</summary>
    public static int Run(string[] args)
    {
        try
        {
            BenchShape shape = BenchShape.Parse(args.Length > 0 ? args[0] : "peer8");
            WeightFormat[] formats = Formats.Read("--perf", args.Length > 1 ? args[1] : "fp16,int8");
            using Screen screen = new(Terminal.OfProcess());
            BenchReport report = new(screen);
            foreach (TestDevice tested in TestDevices.All)
            {
                using IDevice device = tested.Open();
                OpBench ops = new(device, shape.Config, report.WriteOp, report.WriteSkipped);
                foreach (WeightFormat format in formats)
                {
                    report.BeginOps(device.Info with { Id = tested.Id }, $"{shape.Name}, {Readable.Name(format)} weights");
                    ops.Run(format, others: format == formats[0], CancellationToken.None);
                }
            }

            return 0;
        }
        catch (BrokenPipeException)
        {
            return 0;
        }
        catch (LdlVkException e)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
    }
}
