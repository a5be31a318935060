using LdlVk.Cli.Options;
using System.CommandLine;
using System.Text.Json;
using LdlVk.Cli.Output;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk devices</c>: lists the devices of this machine.</summary>
internal static class DevicesCommand
{
    public static Command Create(Terminal terminal)
    {
        Option<bool> json = new("--json") { Description = "Write the list as JSON." };
        Option<string> kernels = DeviceFlags.CreateKernels();
        Command command = new("devices", "List the devices of this machine.") { kernels, json };
        command.SetAction(call =>
        {
            DeviceInfo[] devices = [.. ComputeDevices.Enumerate(ModelValues.Kernels(call, kernels)).Select(ComputeDevices.AsScored)];
            string? whyNoVulkan = ComputeDevices.WhyNoVulkan()?.InFlags();
            string preferred = ComputeDevices.Candidates("auto")[0].Id;
            if (call.GetValue(json)) WriteJson(devices, preferred, whyNoVulkan, terminal);
            else Show(devices, preferred, whyNoVulkan, terminal);
            return ExitCode.Success;
        });
        return command;
    }

    /// <summary>Returns the kind of a device in words.</summary>
    public static string Kind(DeviceKind kind) => kind switch
    {
        DeviceKind.DiscreteGpu => "graphics card",
        DeviceKind.IntegratedGpu => "integrated GPU",
        DeviceKind.VirtualGpu => "virtual GPU",
        DeviceKind.Cpu => "processor",
        _ => "software driver, used only when named",
    };

    private static void Show(IReadOnlyList<DeviceInfo> devices, string preferred, string? whyNoVulkan, Terminal terminal)
    {
        using Screen screen = new(terminal);
        foreach (DeviceInfo device in devices)
        {
            screen.Line($"[bold]{device.Id,-10}[/] {Screen.Safe(device.Name)}");
            screen.Line(
                $"           {Kind(device.Kind)}; {Readable.Bytes(device.FreeMemoryBytes)} of {Readable.Bytes(device.MemoryBytes)} free");
            screen.Line($"           {Screen.Safe(device.Driver)}; {Screen.Safe(string.Join(", ", device.Features))}");
            if (device.Kind != DeviceKind.Cpu) screen.Line($"           kernels: {device.Kernels}; {Screen.Safe(device.WhyKernels)}");
            if (device.SameCardAs is { } other) screen.Line($"           the same card as {other}, used only when named");
        }

        if (whyNoVulkan is not null) screen.Line($"No Vulkan device: {Screen.Safe(whyNoVulkan)}.");
        else if (ComputeDevices.WhyNoCard() is { } refused) screen.Line($"Not listed: {Screen.Safe(refused.InFlags())}.");
        // DirectML exists only on Windows.
        if (OperatingSystem.IsWindows() && ComputeDevices.WhyNoDirectML() is { } whyNoDirectML)
            screen.Line($"No DirectML device: {Screen.Safe(whyNoDirectML.InFlags())}.");
        screen.Line($"--device auto begins with [bold]{preferred}[/].");
    }

    private static void WriteJson(IReadOnlyList<DeviceInfo> devices, string preferred, string? whyNoVulkan, Terminal terminal)
    {
        using JsonDocumentWriter document = new(terminal);
        Utf8JsonWriter json = document.Json;
        json.WriteStartArray("devices");
        foreach (DeviceInfo device in devices)
        {
            json.WriteStartObject();
            json.WriteString("id", device.Id);
            json.WriteString("name", device.Name);
            json.WriteString("kind", JsonNamingPolicy.SnakeCaseLower.ConvertName(device.Kind.ToString()));
            json.WriteString("driver", device.Driver);
            json.WriteNumber("memory_bytes", device.MemoryBytes);
            json.WriteNumber("free_memory_bytes", device.FreeMemoryBytes);
            json.WriteStartArray("features");
            foreach (string feature in device.Features) json.WriteStringValue(feature);
            json.WriteEndArray();
            json.WriteString("kernels", device.Kernels);
            json.WriteString("why_kernels", device.WhyKernels);
            if (device.SameCardAs is { } other) json.WriteString("same_card_as", other);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteString("auto", preferred);
        if (whyNoVulkan is not null) json.WriteString("why_no_vulkan", whyNoVulkan);
        else if (ComputeDevices.WhyNoCard() is { } refused) json.WriteString("why_no_card", refused.InFlags());
    }
}
