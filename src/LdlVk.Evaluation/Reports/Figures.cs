using System.Globalization;
using System.Text.Json.Nodes;
using LdlVk.Evaluation.Benchmarks;
using LdlVk.Evaluation.Statistics;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Evaluation.Reports;

/// <summary>Formats the figures of reports; a dash stands for a figure that does not exist.</summary>
public static class Figures
{
    /// <summary>A share as a percentage with one decimal.</summary>
    public static string Percent(double share) =>
        double.IsNaN(share) ? "–" : string.Create(CultureInfo.InvariantCulture, $"{share * 100:0.0} %");

    /// <summary>A number in a format of .NET.</summary>
    public static string Number(double value, string format) =>
        double.IsNaN(value) ? "–" : value.ToString(format, CultureInfo.InvariantCulture);

    /// <summary>A number with three significant digits.</summary>
    public static string Digits(double value) => Number(value, "G3");

    /// <summary>A number with its sign, in a format of .NET.</summary>
    public static string Signed(double value, string format) => Number(value, $"+{format};−{format};{format}");

    /// <summary>A change of a share as a percentage with its sign and one decimal.</summary>
    public static string Change(double change) => double.IsNaN(change) ? "–" : Signed(change * 100, "0.0") + " %";

    /// <summary>The margin of a line, with enough digits that a flip shows its sign.</summary>
    public static string Margin(Example example) => Signed(example.Margin, "0.00000");

    /// <summary>An interval of shares as percentages, in a format of .NET.</summary>
    public static string Range(Interval interval, string format) =>
        double.IsNaN(interval.Low) ? "–" : $"{Number(interval.Low * 100, format)} to {Number(interval.High * 100, format)}";

    /// <summary>Formats an id for people: without the quotes of JSON, and cut to 60 characters.</summary>
    public static string Id(string json)
    {
        string text = json.StartsWith('"') && JsonNode.Parse(json) is { } node ? node.GetValue<string>() : json;
        return Readable.OneLine(text, 60);
    }
}
