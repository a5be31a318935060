namespace LdlVk.DirectML.Interop;

/// <summary>IDMLDevice1.</summary>
internal sealed unsafe class DmlDevice(void* pointer, D3D12Device device) : ComObject(pointer)
{
    public static readonly Guid Iid = new("a0884f9a-d2be-4355-aa5d-5901281ad1d2");

    /// <summary>DML_FEATURE_LEVEL_1_0 … 6_4, of those that add something.</summary>
    private static readonly int[] Levels = [0x1000, 0x2000, 0x2100, 0x3000, 0x3100, 0x4000, 0x4100, 0x5000, 0x5100, 0x5200, 0x6000, 0x6100,
        0x6200, 0x6300, 0x6400];

    /// <summary>The highest DML_FEATURE_LEVEL that DirectML.dll and the adapter have: 0x6300 is 6.3.</summary>
    public int FeatureLevel
    {
        get
        {
            fixed (int* levels = Levels)
            {
                // DML_FEATURE_QUERY_FEATURE_LEVELS
                ulong* query = stackalloc ulong[2];
                (query[0], query[1]) = ((ulong)Levels.Length, (ulong)levels);
                int level;
                device.Check(((delegate* unmanaged[MemberFunction]<void*, int, uint, void*, uint, void*, int>)Method(
                    Slots.IDMLDevice.CheckFeatureSupport))(Pointer, 1, 16, query, sizeof(int), &level), "IDMLDevice::CheckFeatureSupport");
                return level;
            }
        }
    }

    public DmlOperator CreateOperator(OperatorType type, void* desc)
    {
        TypedDesc typed = new() { Type = (int)type, Desc = desc };
        Guid iid = DmlOperator.Iid;
        void* created;
        device.Check(((delegate* unmanaged[MemberFunction]<void*, TypedDesc*, Guid*, void**, int>)Method(Slots.IDMLDevice.CreateOperator))(
            Pointer, &typed, &iid, &created), $"IDMLDevice::CreateOperator({type})");
        return new DmlOperator(created);
    }

    /// <summary>Compiles a graph. fp16 operators accumulate in fp32, as no flag allows otherwise.</summary>
    public DmlDispatchable CompileGraph(GraphDesc* graph, string name)
    {
        Guid iid = DmlDispatchable.CompiledOperatorIid;
        void* compiled;
        device.Check(((delegate* unmanaged[MemberFunction]<void*, GraphDesc*, int, Guid*, void**, int>)Method(
            Slots.IDMLDevice1.CompileGraph))(Pointer, graph, 0, &iid, &compiled), $"IDMLDevice1::CompileGraph({name})");
        return new DmlDispatchable(compiled);
    }

    public DmlDispatchable CreateInitializer(DmlDispatchable compiled)
    {
        Guid iid = DmlDispatchable.InitializerIid;
        void* one = compiled.Pointer;
        void* created;
        device.Check(((delegate* unmanaged[MemberFunction]<void*, uint, void**, Guid*, void**, int>)Method(
            Slots.IDMLDevice.CreateOperatorInitializer))(Pointer, 1, &one, &iid, &created), "IDMLDevice::CreateOperatorInitializer");
        return new DmlDispatchable(created);
    }

    public DmlCommandRecorder CreateRecorder()
    {
        Guid iid = DmlCommandRecorder.Iid;
        void* created;
        device.Check(((delegate* unmanaged[MemberFunction]<void*, Guid*, void**, int>)Method(Slots.IDMLDevice.CreateCommandRecorder))(
            Pointer, &iid, &created), "IDMLDevice::CreateCommandRecorder");
        return new DmlCommandRecorder(created);
    }

    public DmlBindingTable CreateBindingTable(in BindingTableDesc desc)
    {
        Guid iid = DmlBindingTable.Iid;
        void* created;
        fixed (BindingTableDesc* d = &desc)
            device.Check(((delegate* unmanaged[MemberFunction]<void*, BindingTableDesc*, Guid*, void**, int>)Method(
                Slots.IDMLDevice.CreateBindingTable))(Pointer, d, &iid, &created), "IDMLDevice::CreateBindingTable");
        return new DmlBindingTable(created);
    }

    /// <summary>Why DirectML gave the device up; 0 while it works.</summary>
    public int RemovedReason => ((delegate* unmanaged[MemberFunction]<void*, int>)Method(Slots.IDMLDevice.GetDeviceRemovedReason))(Pointer);
}

/// <summary>IDMLOperator.</summary>
internal sealed unsafe class DmlOperator(void* pointer) : ComObject(pointer)
{
    public static readonly Guid Iid = new("26caae7a-3081-4633-9581-226fbe57695d");
}

/// <summary>IDMLCompiledOperator or IDMLOperatorInitializer.</summary>
internal sealed unsafe class DmlDispatchable(void* pointer) : ComObject(pointer)
{
    public static readonly Guid CompiledOperatorIid = new("6b15e56a-bf5c-4902-92d8-da3a650afea4");

    public static readonly Guid InitializerIid = new("427c1113-435c-469c-8676-4d5dd072f813");

    public BindingProperties Properties => ((delegate* unmanaged[MemberFunction]<void*, BindingProperties>)Method(
        Slots.IDMLDispatchable.GetBindingProperties))(Pointer);
}

/// <summary>IDMLBindingTable.</summary>
internal sealed unsafe class DmlBindingTable(void* pointer) : ComObject(pointer)
{
    public static readonly Guid Iid = new("29c687dc-de74-4e3b-ab00-1168f2fc3cfc");

    public void BindInputs(uint count, TypedDesc* bindings) =>
        ((delegate* unmanaged[MemberFunction]<void*, uint, TypedDesc*, void>)Method(Slots.IDMLBindingTable.BindInputs))(Pointer, count,
            bindings);

    public void BindOutputs(uint count, TypedDesc* bindings) =>
        ((delegate* unmanaged[MemberFunction]<void*, uint, TypedDesc*, void>)Method(Slots.IDMLBindingTable.BindOutputs))(Pointer, count,
            bindings);

    public void BindTemporary(TypedDesc* binding) =>
        ((delegate* unmanaged[MemberFunction]<void*, TypedDesc*, void>)Method(Slots.IDMLBindingTable.BindTemporaryResource))(Pointer,
            binding);

    public void BindPersistent(TypedDesc* binding) =>
        ((delegate* unmanaged[MemberFunction]<void*, TypedDesc*, void>)Method(Slots.IDMLBindingTable.BindPersistentResource))(Pointer,
            binding);

    public int Reset(in BindingTableDesc desc)
    {
        fixed (BindingTableDesc* d = &desc)
            return ((delegate* unmanaged[MemberFunction]<void*, BindingTableDesc*, int>)Method(Slots.IDMLBindingTable.Reset))(Pointer, d);
    }
}

/// <summary>IDMLCommandRecorder.</summary>
internal sealed unsafe class DmlCommandRecorder(void* pointer) : ComObject(pointer)
{
    public static readonly Guid Iid = new("e6857a76-2e3e-4fdd-bff4-5d2ba10fb453");

    public void RecordDispatch(D3D12CommandList list, DmlDispatchable dispatchable, DmlBindingTable bindings) =>
        ((delegate* unmanaged[MemberFunction]<void*, void*, void*, void*, void>)Method(Slots.IDMLCommandRecorder.RecordDispatch))(Pointer,
            list.Pointer, dispatchable.Pointer, bindings.Pointer);
}
