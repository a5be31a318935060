using System.Diagnostics;
using System.Globalization;

namespace LdlVk.Bench;

/// <summary>Another runtime in a process of its own, which computes when it is told (bench/peers/peerbench.c has the protocol).</summary>
internal sealed class Peer : IDisposable
{
    private readonly Process _process;

    /// <summary>Starts it and waits until its model is loaded.</summary>
    /// <param name="name">What the table calls it.</param>
    /// <param name="command">Program and arguments.</param>
    /// <param name="environment">Variables to set.</param>
    public Peer(string name, IEnumerable<string> command, IEnumerable<(string Name, string Value)> environment)
    {
        Name = name;
        string[] call = [.. command];
        ProcessStartInfo start = new(call[0], call[1..]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        foreach ((string variable, string value) in environment) start.Environment[variable] = value;
        _process = Process.Start(start)!;
        string[] ready = Answer().Split(' ', 4);
        (LoadSeconds, PeakMegabytes, Device) = (Number(ready[1]), (long)Number(ready[2]), ready[3]);
    }

    /// <summary>What the table calls it.</summary>
    public string Name { get; }

    /// <summary>What it says it runs on.</summary>
    public string Device { get; }

    /// <summary>From its start to the loaded model.</summary>
    public double LoadSeconds { get; }

    /// <summary>The most memory its process has had.</summary>
    public long PeakMegabytes { get; private set; }

    /// <summary>Seconds for so many texts of so many tokens.</summary>
    public double Run(int texts, int tokens) => Ask($"run {texts} {tokens}");

    /// <summary>The last hidden state of text 0.</summary>
    public float[] Hidden(int tokens)
    {
        string path = Path.GetTempFileName();
        try
        {
            Ask($"hidden {tokens} {path}");
            return System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(path)).ToArray();
        }
        finally
        {
            File.Delete(path);
        }
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeSpan.FromSeconds(30))) _process.Kill();
        _process.Dispose();
    }

    private double Ask(string line)
    {
        _process.StandardInput.WriteLine(line);
        string[] answer = Answer().Split(' ');
        PeakMegabytes = (long)Number(answer[1]);
        return Number(answer[0]);
    }

    private string Answer() => _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException($"{Name} ended; what it said is above.");

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
}
