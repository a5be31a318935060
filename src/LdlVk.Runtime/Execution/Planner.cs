using System.Globalization;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>
/// Decides which device computes which layers. The division minimizes the time of the slowest stage within the devices' memory. A device
/// without room for all of its layers streams some of them (<see cref="StreamedLayers"/>).
/// </summary>
public static class Planner
{
    /// <summary>
    /// Minimum tokens of a micro-batch while the planner tries to avoid streaming. Smaller matrix products are slower on any device.
    /// </summary>
    private const int MinUsualTokens = 1024;

    /// <summary>Minimum tokens of a micro-batch where memory is short.</summary>
    private const int MinTokens = 64;

    /// <summary>Slots of streamed layers, each of the size of a layer: one layer computes while the next is uploaded.</summary>
    private const int UsualSlots = 2;

    /// <summary>Maximum micro-batches of a wave. Larger waves showed no gain in measurements, and delay results.</summary>
    private const int MaxBatchesOfWave = 16;

    /// <summary>Micro-batches that can share a prefix where no layer is streamed.</summary>
    private const int BatchesPerPrefix = 4;

    /// <summary>Ratio of the computing time to the upload time at which uploads count as hidden.</summary>
    private const double Margin = 1.25;

    /// <summary>
    /// Plans of at least this fraction of the best speed count as equally fast; of these, the one with larger micro-batches and less
    /// streaming is taken.
    /// </summary>
    private const double AboutAsFast = 0.9;

    /// <summary>Makes a plan.</summary>
    /// <exception cref="UsageException">The split does not add up.</exception>
    /// <exception cref="DeviceException">A device is too small for one layer and a text; the message says what would do.</exception>
    public static ExecutionPlan Make(PlanRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        return Make(request, known: 0);
    }

    /// <param name="request">The model and the devices.</param>
    /// <param name="known">
    /// Tokens a second that a plan with more devices has; one that is much slower is taken only if there is no other.
    /// </param>
    private static ExecutionPlan Make(PlanRequest request, double known)
    {
        if (request.Split is not null) CheckSplit(request);
        var machine = new PlanMachine(request);
        // If all layers fit on one device there is nothing to choose, and no speed needs to be measured.
        if (request.Devices.Count > 1) machine.Measure();
        List<ExecutionPlan> plans = [.. Resident(machine)];
        bool fits = plans.Count > 0;
        if (!fits) machine.Measure();
        // Even if all layers fit, streaming some to a faster device may be faster, unless they have to be read from files.
        if (machine.IsMeasured)
        {
            plans.AddRange(Streaming(machine, request.BatchTokens, UsualTokens(request))
                .Where(p => !fits || p.Stages.All(s => s.Layers.Streamed == 0 || s.Layers.InHostMemory)));
        }

        // Small micro-batches cost speed: they are the last resort.
        if (plans.Count == 0) plans.AddRange(Streaming(machine, UsualTokens(request), Math.Min(request.BatchTokens, MinTokens)).Take(1));
        if (plans.Count == 0) throw TooSmall(machine);
        double fastest = Math.Max(plans.Max(Rate), known);
        ExecutionPlan plan = plans.FirstOrDefault(p => Rate(p) >= AboutAsFast * fastest) ?? plans.MaxBy(Rate)!;
        return plan.Stages.Count == request.Devices.Count
            ? CachePlanner.Add(request, WithAdvice(request, plan)) : WithoutIdle(request, plan, fastest);
    }

    /// <summary>Returns plans without streaming, those with larger micro-batches and waves first.</summary>
    private static IEnumerable<ExecutionPlan> Resident(PlanMachine machine)
    {
        PlanRequest request = machine.Request;
        foreach (int batch in Halves(request.BatchTokens, UsualTokens(request)))
        {
            // A larger wave lets several micro-batches share a prefix, if there is room.
            foreach (int wave in (int[])[(int)Math.Min((long)BatchesPerPrefix * batch, int.MaxValue), batch])
            {
                if (Fastest(machine, batch, wave, slots: 0) is { } plan) yield return plan;
            }
        }
    }

    /// <summary>Returns plans with streaming, those with larger micro-batches and waves first.</summary>
    private static IEnumerable<ExecutionPlan> Streaming(PlanMachine machine, int most, int fewest)
    {
        PlanRequest request = machine.Request;
        foreach (int batch in Halves(most, fewest))
        {
            // A device with room for two layers can compute all: one is uploaded while the other computes. With at most 256 tokens memory
            // is so short that one slot has to be enough.
            int slots = batch > 256 ? UsualSlots : 1;
            for (int wave = WaveFor(machine, batch); wave >= batch; wave -= batch)
            {
                if (Fastest(machine, batch, wave, slots) is { } plan) yield return plan;
            }
        }
    }

    /// <summary>
    /// Returns the fastest plan with these sizes; null if the layers do not fit. The heads are on the last device that has layers; every
    /// device is tried as the last.
    /// </summary>
    /// <param name="machine">The devices.</param>
    /// <param name="batch">Tokens of a micro-batch.</param>
    /// <param name="wave">Tokens of a wave.</param>
    /// <param name="slots">Layers for which a streaming device needs room; 0 if no device may stream.</param>
    private static ExecutionPlan? Fastest(PlanMachine machine, int batch, int wave, int slots)
    {
        List<ExecutionPlan> plans = [];
        int devices = machine.Budgets.Length;
        for (int last = devices - 1; last >= (machine.Request.Split is null ? 0 : devices - 1); last--)
        {
            int[] room = [.. machine.Room(batch, wave, last).Select(layers => layers < slots ? 0 : layers)];
            if (Divide(machine, room, last, slots > 0, wave) is { } layers) plans.Add(Plan(machine, layers, room, batch, wave));
        }

        return plans.MaxBy(Rate);
    }

    /// <summary>The expected speed of a plan in tokens per second; 0 if it is unknown.</summary>
    private static double Rate(ExecutionPlan plan) => plan.TokensPerSecond ?? 0;

    /// <summary>
    /// Returns the number of layers of each device. Each layer in turn goes to the device whose stage is then fastest. Null if the layers
    /// do not fit.
    /// </summary>
    /// <param name="machine">The devices.</param>
    /// <param name="room">Layers for which each device has room at a time.</param>
    /// <param name="last">The device with the heads, which gets at least one layer.</param>
    /// <param name="streams">Whether devices may get more layers than they have room for.</param>
    /// <param name="wave">Tokens of a wave.</param>
    private static int[]? Divide(PlanMachine machine, int[] room, int last, bool streams, int wave)
    {
        PlanRequest request = machine.Request;
        if (request.Split is { } split)
            return split.Zip(room).All(x => streams ? x.Second > 0 : x.First <= x.Second) ? [.. split] : null;
        if (room[last] == 0 || (!streams && room.Sum(r => (long)r) < request.Memory.Layers)) return null;
        int[] layers = new int[room.Length];
        layers[last] = 1;
        for (int i = 1; i < request.Memory.Layers; i++)
        {
            int best = -1;
            for (int d = 0; d < room.Length; d++)
                if ((layers[d] < room[d] || (streams && room[d] > 0)) && (best < 0 || Time(d) < Time(best))) best = d;
            layers[best]++;
        }

        return layers;

        double Time(int d)
        {
            // Without a measurement: as if the uploads were just hidden.
            StageTime layer = machine.LayerTime(d, wave) ?? new StageTime(1, 0.8);
            int count = layers[d] + 1;
            return Math.Max(count * layer.Computing, (count - Stay(count, room[d]).Resident) * layer.Uploading);
        }
    }

    /// <summary>Returns how many of a device's layers are resident, and how many slots the streamed ones share.</summary>
    private static (int Resident, int Slots) Stay(int count, int room)
    {
        if (count <= room) return (count, 0);
        // A third slot lets uploads run two layers ahead. It is worth one resident layer of at least 12.
        int slots = Math.Min(room, room >= 12 ? UsualSlots + 1 : UsualSlots);
        return (room - slots, slots);
    }

    /// <summary>Makes the plan of a division. Devices without layers have no stage.</summary>
    private static ExecutionPlan Plan(PlanMachine machine, int[] layers, int[] room, int batch, int wave)
    {
        PlanRequest request = machine.Request;
        ModelMemory memory = request.Memory;
        int last = Array.FindLastIndex(layers, count => count > 0);
        List<StagePlan> stages = [];
        long host = request.HostBytes;
        int first = 0;
        for (int d = 0; d < layers.Length; d++)
        {
            int count = layers[d];
            if (count == 0) continue;
            (int resident, int slots) = Stay(count, room[d]);
            int streamed = count - resident;
            long streamedBytes = streamed * memory.LayerBytes;
            bool inHostMemory = streamed > 0 && streamedBytes <= host;
            if (inHostMemory) host -= streamedBytes;
            StageTime? time = machine.LayerTime(d, wave) is { } layer
                ? new StageTime(count * layer.Computing, streamed * layer.Uploading) : null;
            var stage = new StagePlan(
                request.Devices[d], new StageLayers(first, count, streamed, slots, inHostMemory), machine.Budgets[d],
                (resident * memory.LayerBytes) + memory.TableBytes + (d == last ? memory.HeadBytes : 0),
                slots * memory.LayerBytes, request.MemoryOn(d).ActivationBytes(batch, wave), streamedBytes, time);
            stages.Add(WithRows(request, stage, request.MemoryOn(d), batch, wave));
            first += count;
        }

        return new ExecutionPlan(request.Weights, batch, wave, stages, []);
    }

    /// <summary>Gives half of the memory that a stage leaves to more rows of the feed-forward network, if that is faster.</summary>
    private static StagePlan WithRows(PlanRequest request, StagePlan stage, ModelMemory memory, int batch, int wave)
    {
        long free = stage.Budget - stage.Bytes - CachePlanner.Reserve(request);
        long affordable = memory.FeedForwardRows + (free / 2 / memory.FeedForwardRowBytes);
        int rows = FeedForwardRows.For(stage.Device, request.Config, batch, affordable);
        if (rows <= memory.FeedForwardRows) return stage;
        return stage with
        {
            Layers = stage.Layers with { FeedForwardRows = rows },
            ActivationBytes = (memory with { FeedForwardRows = rows }).ActivationBytes(batch, wave),
        };
    }

    /// <summary>
    /// Plans again without the devices that got no layers: memory that they share is then free for the other devices.
    /// </summary>
    private static ExecutionPlan WithoutIdle(PlanRequest request, ExecutionPlan plan, double fastest)
    {
        bool[] used = new bool[request.Devices.Count];
        // Stages are in the order of the devices; a device can be listed twice.
        int next = 0;
        foreach (StagePlan stage in plan.Stages)
        {
            while (!ReferenceEquals(request.Devices[next], stage.Device)) next++;
            used[next++] = true;
        }

        int[] kept = [.. Enumerable.Range(0, used.Length).Where(d => used[d])];
        ExecutionPlan without = Make(request with
        {
            Devices = [.. kept.Select(d => request.Devices[d])],
            MemoryLimits = request.MemoryLimits.Count == 0 ? []
                : [.. kept.Select(d => request.MemoryLimits[Math.Min(d, request.MemoryLimits.Count - 1)])],
        }, fastest);
        IEnumerable<Notice> notes = Enumerable.Range(0, used.Length).Where(d => !used[d]).Select(d => request.Devices[d])
            .Select<DeviceInfo, Notice>(device =>
                $"{device.Id} ({device.Name}) is left out: with it the others would not be faster, or it has no room for a layer.");
        return without with { Notes = [.. notes, .. without.Notes] };
    }

    /// <summary>Returns a number, its half, and so on down to a minimum.</summary>
    private static IEnumerable<int> Halves(int number, int lowest)
    {
        for (; ; number = Math.Max(lowest, number / 2))
        {
            yield return number;
            if (number <= lowest) yield break;
        }
    }

    private static int UsualTokens(PlanRequest request) => Math.Min(request.BatchTokens, MinUsualTokens);

    /// <summary>
    /// Returns the tokens of a wave whose computing hides the uploads: bytes·(operations per second)/((bytes per second)·2·parameters),
    /// times the margin.
    /// </summary>
    private static int WaveFor(PlanMachine machine, int batch)
    {
        double tokens = batch;
        for (int d = 0; d < machine.Budgets.Length; d++)
            if (machine.LayerTime(d, 1) is { } time) tokens = Math.Max(tokens, Margin * time.Uploading / time.Computing);
        return (int)Math.Min(Math.Ceiling(tokens / batch) * batch, (long)MaxBatchesOfWave * batch);
    }

    private static void CheckSplit(PlanRequest request)
    {
        int[] split = [.. request.Split!];
        string text = string.Join(',', split), devices = string.Join(", ", request.Devices.Select(d => d.Id));
        if (split.Length != request.Devices.Count)
            throw new UsageException(
                $"{OptionName.Split.Of(text)} is for {split.Length} devices, and there {(request.Devices.Count == 1 ? "is" : "are")} "
                    + $"{request.Devices.Count}: {devices}. Give one number of layers for each, such as "
                    + $"{OptionName.Device.Of("vulkan:0,vulkan:1")} {OptionName.Split.Of("20,26")}.");
        if (split.Any(n => n < 1) || split.Sum(n => (long)n) != request.Memory.Layers)
            throw new UsageException(
                $"{OptionName.Split.Of(text)} gives out {split.Sum(n => (long)n)} layers, and the model has {request.Memory.Layers}. "
                    + $"Give each of {devices} at least one, {request.Memory.Layers} in all.");
    }

    private static ExecutionPlan WithAdvice(PlanRequest request, ExecutionPlan plan)
    {
        List<Notice> notes = [];
        if (plan.BatchTokens < request.BatchTokens)
            notes.Add($"Micro-batches have {plan.BatchTokens} tokens instead of {request.BatchTokens}, for want of memory.");
        foreach (StagePlan stage in plan.Stages.Where(s => s.Layers.Streamed > 0))
        {
            long more = stage.StreamedBytes - stage.SlotBytes;
            string smaller = request.Weights < WeightFormat.Int8 ? "int8" : "int4";
            Notice orSmaller = request.Weights == WeightFormat.Int4
                ? "" : (Notice)$", or with {OptionName.Weights.Of(smaller)}, which is smaller";
            notes.Add($"{stage.Device.Id} would hold all of its layers with {Gigabytes(more)} more{orSmaller}.");
            if (stage.Seconds is { } time && time.Uploading > time.Computing)
                notes.Add(
                    $"Uploads to {stage.Device.Id} take {time.Uploading / time.Computing:F1} times as long as computing: more memory, "
                        + $"smaller weights or larger {OptionName.BatchTokens} would be faster.");
            if (!stage.Layers.InHostMemory && request.HostBytes > 0)
                notes.Add(
                    $"{Gigabytes(stage.StreamedBytes)} for {stage.Device.Id} are read from the model's files for each wave: host memory "
                        + $"has room for {Gigabytes(request.HostBytes)}. A folder that ldlvk convert made is read faster.");
        }

        if (plan.Stages.Select(s => (s.Device.Name, s.Device.Driver)).Distinct().Count() > 1)
        {
            string devices = string.Join(',', plan.Stages.Select(s => s.Device.Id));
            string split = string.Join(',', plan.Stages.Select(s => s.Layers.Count));
            notes.Add(
                $"Scores of a model over devices of different kinds depend on where it is divided; {OptionName.Device.Of(devices)} "
                    + $"{OptionName.Split.Of(split)} keeps it as it is now.");
        }

        return plan with { Notes = notes };
    }

    private static DeviceException TooSmall(PlanMachine machine)
    {
        PlanRequest request = machine.Request;
        ModelMemory memory = request.Memory;
        int tokens = Math.Min(request.BatchTokens, MinTokens), device = Array.IndexOf(machine.Budgets, machine.Budgets.Max());
        // With a split each device computes its part; without one the largest device would compute everything.
        if (request.Split is not null) device = Array.FindIndex(machine.Room(tokens, tokens, request.Devices.Count - 1), room => room == 0);
        bool isLast = request.Split is null || device == request.Devices.Count - 1;
        long needed = memory.LayerBytes + memory.TableBytes + (isLast ? memory.HeadBytes : 0)
            + request.MemoryOn(device).ActivationBytes(tokens, tokens);
        Notice heads = isLast && memory.HeadBytes > memory.LayerBytes / 4
            ? (Notice)$" ({Gigabytes(memory.HeadBytes)} of it for the heads: {OptionName.Heads.Of("fp16 or int8")} is smaller)" : "";
        Notice limited = request.MemoryLimits.Count > 0 ? (Notice)$" ({OptionName.Memory})" : "";
        long reserve = CachePlanner.Reserve(request);
        Notice beside = reserve == 0 ? "" : (Notice)$" beside the {Gigabytes(reserve)} of {OptionName.PromptCache}";
        Notice smaller = reserve == 0 ? "" : (Notice)$"a smaller {OptionName.PromptCache}, ";
        Notice others = request.Devices[device].Kind == DeviceKind.Cpu
            ? "a machine with more memory" : (Notice)$"a device with more memory, or {OptionName.Device.Of("cpu")}";
        return new DeviceException(
            $"A layer with {request.Weights.ToString().ToLowerInvariant()} weights and a text of {tokens} tokens need "
                + $"{Gigabytes(needed)}{heads}, and {request.Devices[device].Id} ({request.Devices[device].Name}) may use "
                + $"{Gigabytes(Math.Max(0, machine.Budgets[device] - reserve))}{limited}{beside}. Use {smaller}"
                + $"smaller {OptionName.Weights}, a larger {OptionName.Memory}, or {others}.",
            failure: DeviceFailure.OutOfMemory);
    }

    private static string Gigabytes(long bytes) => bytes >= 1_000_000_000
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:F1} GB")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:F1} MB");
}
