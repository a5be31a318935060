using System.CommandLine;
using System.Globalization;
using LdlVk.Cli.Output;
using LdlVk.Cli.Traces;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk trace</c>: finds the first step at which a computation differs from its reference.</summary>
internal static class TraceCommand
{
    private const double DefaultTolerance = 1e-4;

    public static Command Create(Terminal terminal)
    {
        Argument<string> reference = new("REFERENCE.json") { Description = "The correct trace." };
        Argument<string> actual = new("ACTUAL.json") { Description = "The trace to check, written by score --trace." };
        Option<string?> tolerance = new("--tolerance")
        {
            Description = "Maximum relative error ‖reference − actual‖ / ‖reference‖ [default: 1e-4].",
            HelpName = "X",
        };
        Command command = new("trace", "Compare two traces and name the first step that differs. Exit code 3 if one does.")
        {
            reference, actual, tolerance,
        };
        command.SetAction(call =>
        {
            double limit = ReadTolerance(call.GetValue(tolerance));
            using TraceFile a = TraceFile.Open(call.GetValue(reference)!), b = TraceFile.Open(call.GetValue(actual)!);
            using Screen screen = new(terminal);
            return Compare(a, b, limit, screen);
        });
        return command;
    }

    private static double ReadTolerance(string? text)
    {
        if (text is null) return DefaultTolerance;
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
            && value >= 0
            && double.IsFinite(value)
            ? value : throw new UsageException($"--tolerance {text}: give a number of at least 0, such as 1e-4.");
    }

    private static int Compare(TraceFile reference, TraceFile actual, double tolerance, Screen screen)
    {
        string? first = null;
        int compared = 0, differing = 0, missing = 0;
        foreach (string input in reference.Inputs())
        {
            HashSet<string> there = [.. actual.Tensors(input)];
            if (there.Count == 0) continue;
            screen.Line($"[bold]{Screen.Safe(input)}[/]");
            foreach (string name in reference.Tensors(input))
            {
                if (!there.Contains(name))
                {
                    missing++;
                    continue;
                }

                compared++;
                TracedTensor a = reference.Read(input, name), b = actual.Read(input, name);
                bool same = a.Shape.SequenceEqual(b.Shape);
                double error = same ? RelativeError(a.Values, b.Values) : double.NaN;
                string shown = same ? error.ToString("0.0e+00", CultureInfo.InvariantCulture) : $"shape {Shape(a)}, not {Shape(b)}";
                // Also true for NaN.
                bool differs = !(error <= tolerance);
                if (differs) differing++;
                string mark = !differs ? "" : first is null ? "  [red]<- the first that differs[/]" : "  [red]differs[/]";
                if (differs) first ??= $"{input} / {name}";
                screen.Line($"  {Screen.Safe(name),-42} {shown}{mark}");
            }
        }

        if (compared == 0)
            throw new UsageException(
                "The two traces have no name in common. Give both texts the same name: the name of a traced text is its id.");
        string left = missing == 0
            ? ""
            : $" {Readable.Plural(missing, "step")} of the reference {(missing == 1 ? "is" : "are")} not in the other trace.";
        string limit = tolerance.ToString("0.##e+0", CultureInfo.InvariantCulture);
        screen.Line(first is null
            ? $"All {compared} steps agree within {limit}.{left}"
            : $"{differing} of {compared} steps differ by more than {limit}; the first is [red]{Screen.Safe(first)}[/].{left}");
        return first is null ? ExitCode.Success : ExitCode.SomeFailed;
    }

    /// <summary>‖a − b‖ / ‖a‖ in the Euclidean norm; 0 if both are zero, ∞ if only the reference is.</summary>
    private static double RelativeError(double[] a, double[] b)
    {
        double difference = 0, norm = 0;
        for (int i = 0; i < a.Length; i++)
        {
            difference += (a[i] - b[i]) * (a[i] - b[i]);
            norm += a[i] * a[i];
        }

        return difference == 0 ? 0 : Math.Sqrt(difference / norm);
    }

    /// <summary>Formats a shape in brackets, which are doubled to escape the screen's markup.</summary>
    private static string Shape(TracedTensor tensor) => $"[[{string.Join(", ", tensor.Shape)}]]";
}
