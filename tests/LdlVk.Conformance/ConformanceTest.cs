using LdlVk.Testing;
using Xunit;

// The shared devices are not thread-safe.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace LdlVk.Conformance;

/// <summary>The base of all conformance tests: the devices as a theory's data.</summary>
public abstract class ConformanceTest : OperandTest
{
    /// <summary>Ids of the devices present.</summary>
    public static TheoryData<string> Devices => [.. TestDevices.Ids];

    /// <summary>Every device with every weight format.</summary>
    public static TheoryData<string, WeightFormat> DevicesAndFormats
    {
        get
        {
            TheoryData<string, WeightFormat> data = [];
            foreach (string id in TestDevices.Ids)
                foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
                    data.Add(id, format);
            return data;
        }
    }
}
