using LdlVk.Benchmarking;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Formatting;
using LdlVk.Testing;

namespace LdlVk.Conformance;

/// <summary>
/// Times every op on every test device, so that kernels that a device does not choose itself can be compared with those that it does.
/// For the latter it prints the same as <c>ldlvk bench --ops</c>.
/// </summary>
internal static class Perf
{
    /// <summary>Arguments: <c>[SHAPE [FORMAT,…]]</c>; peer8 and fp16,int8 by default.</summary>
    public static int Run(string[] args)
    {
        try
        {
            BenchShape shape = BenchShape.Parse(args.Length > 0 ? args[0] : "peer8");
            WeightFormat[] formats = WeightFormatList.Parse(args.Length > 1 ? args[1] : "fp16,int8");
            foreach (TestDevice tested in TestDevices.All)
            {
                using IDevice device = tested.Open();
                OpBench ops = new(device, shape.Config, row => Console.WriteLine(OpTable.Line(row)), skipped => Console.WriteLine(OpTable.Line(skipped)));
                foreach (WeightFormat format in formats)
                {
                    Console.WriteLine($"{tested.Id} ({device.Info.Name}), {device.Info.Driver}: {shape.Name}, {Readable.Name(format)} weights");
                    Console.WriteLine(OpTable.Heading);
                    ops.Run(format, others: format == formats[0], CancellationToken.None);
                }
            }

            return 0;
        }
        catch (LdlVkException e)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
    }
}
