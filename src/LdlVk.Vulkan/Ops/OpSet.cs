using LdlVk.Vulkan.Device;

namespace LdlVk.Vulkan.Ops;

/// <summary>The ops of one device.</summary>
internal sealed class OpSet
{
    public OpSet(VulkanDevice device, DeviceResources resources)
    {
        Context = new OpContext(device.Own, resources.Facts, resources.Stream, resources.Pipelines);
        var products = new ProductDispatcher(Context);
        var converter = new RowConverter(Context, resources.LinearKernels, resources.Memory);
        Linear = new LinearOp(Context, resources.LinearKernels, products, converter);
        Int8Linear = new Int8LinearOp(Context, resources.LinearKernels, products, converter);
        RmsNorm = new RmsNormOp(Context, converter);
        NormAdd = new NormAddOp(RmsNorm);
        Add = new AddOp(Context);
        AddNorm = new AddNormOp(Context, converter);
        HeadNorm = new HeadNormOp(Context);
        Rope = new RopeOp(Context);
        Attention = new AttentionOp(Context, resources.AttentionKernels, converter);
        GateMultiply = new GateMultiplyOp(Context);
        GatedLinear = new GatedLinearOp(Context, resources.LinearKernels, Linear, GateMultiply);
        GatherRows = new GatherRowsOp(Context);
        LdlReadout = new LdlReadoutOp(Context);
        RandomFill = new RandomFill(Context);
    }

    public OpContext Context { get; }
    public LinearOp Linear { get; }
    public GatedLinearOp GatedLinear { get; }
    public Int8LinearOp Int8Linear { get; }
    public RmsNormOp RmsNorm { get; }
    public NormAddOp NormAdd { get; }
    public AddOp Add { get; }
    public AddNormOp AddNorm { get; }
    public HeadNormOp HeadNorm { get; }
    public RopeOp Rope { get; }
    public AttentionOp Attention { get; }
    public GateMultiplyOp GateMultiply { get; }
    public GatherRowsOp GatherRows { get; }
    public LdlReadoutOp LdlReadout { get; }
    public RandomFill RandomFill { get; }
}
