using System.Text.Json;
using System.Text.Json.Nodes;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

public class TraceTests
{
    private static readonly string Golden = Repository.Path("tests", "data", "goldens", "a_f32_sliding");
    private static readonly string Reference = Path.Combine(Golden, "trace.json");

    [Theory]
    [InlineData("single_12", 54)]
    [InlineData("single_33", 6)]
    public async Task Our_steps_agree_with_the_reference_s(string input, int steps)
    {
        using TempFolder temp = new();
        string actual = await TraceAsync(temp, input);
        Outcome run = await Cli.RunAsync("trace", Reference, actual, "--tolerance", "1e-5");
        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Contains($"All {steps} steps agree within 1e-5.", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_first_wrong_step_is_named_and_the_exit_code_is_3()
    {
        using TempFolder temp = new();
        string actual = await TraceAsync(temp, "single_12");
        JsonObject json = JsonNode.Parse(File.ReadAllText(actual))!.AsObject();
        foreach (string name in (string[])["layer.2.self_attn.v_proj", "layer.3.mlp.down_proj"])
        {
            JsonObject tensor = json["single_12"]![name]!.AsObject();
            byte[] bytes = Convert.FromBase64String(tensor["base64"]!.GetValue<string>());
            BitConverter.GetBytes(BitConverter.ToSingle(bytes, 40) + 1f).CopyTo(bytes, 40);
            tensor["base64"] = Convert.ToBase64String(bytes);
        }

        temp.Write("actual.json", json.ToJsonString());
        Outcome run = await Cli.RunAsync("trace", Reference, actual);
        Assert.Equal((3, ""), (run.Code, run.Error));
        Assert.Matches(@"layer\.2\.self_attn\.v_proj +\S+  <- the first that differs\n", run.Out);
        Assert.Matches(@"layer\.3\.mlp\.down_proj +\S+  differs\n", run.Out);
        Assert.Contains("2 of 54 steps differ by more than 1e-4; the first is single_12 / layer.2.self_attn.v_proj.", run.Out, StringComparison.Ordinal);
        Assert.Equal(0, (await Cli.RunAsync("trace", Reference, actual, "--tolerance", "100")).Code);
    }

    [Fact]
    public async Task Another_shape_and_a_nan_are_differences()
    {
        using TempFolder temp = new();
        string a = temp.Write("a.json", Trace("[1,2]", [1, 2], "y", "[1]", [1])), b = temp.Write("b.json", Trace("[2,1]", [1, 2], "y", "[1]", [double.NaN]));
        Outcome run = await Cli.RunAsync("trace", a, b);
        Assert.Equal(3, run.Code);
        Assert.Contains("shape [1, 2], not [2, 1]  <- the first that differs", run.Out, StringComparison.Ordinal);
        Assert.Contains("2 of 2 steps differ", run.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("x", "is not a readable trace")]
    [InlineData("[]", "not an object")]
    [InlineData("{\"t\":{\"x\":3}}", "lacks dtype, shape or base64")]
    [InlineData("{\"t\":{\"x\":{\"dtype\":\"i8\",\"shape\":[1],\"base64\":\"AA==\"}}}", "dtype i8")]
    [InlineData("{\"t\":{\"x\":{\"dtype\":\"f32le\",\"shape\":[1],\"base64\":\"AA==\"}}}", "has 1 bytes, but its shape needs 4")]
    [InlineData("{\"t\":{\"x\":{\"dtype\":\"f32le\",\"shape\":[99999,99999],\"base64\":\"AA==\"}}}", "has 1 bytes")]
    [InlineData("{\"t\":{\"x\":{\"dtype\":\"f32le\",\"shape\":[-1],\"base64\":\"AA==\"}}}", "impossible shape")]
    [InlineData("{\"t\":{\"x\":{\"dtype\":\"f32le\",\"shape\":[1],\"base64\":\"?\"}}}", "not valid base64")]
    [InlineData("{\"other\":{}}", "no name in common")]
    public async Task A_file_that_is_no_trace(string actual, string message)
    {
        using TempFolder temp = new();
        string reference = temp.Write("a.json", Trace("[1,2]", [1, 2], "y", "[1]", [1]));
        Outcome run = await Cli.RunAsync("trace", reference, temp.Write("b.json", actual));
        Assert.Equal(2, run.Code);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_text_that_cannot_be_scored_leaves_no_trace()
    {
        using TempFolder temp = new();
        string[] score = ["score", "--model", Golden, "--device", "cpu", "--input", "-", "--trace", temp["t.json"]];
        (await Cli.RunWithInputAsync("{\"input_ids\":[99999]}", score)).Fails(3, "token id 99999 is outside");
        (await Cli.RunWithInputAsync("{\"input_ids\":[1]}\n{\"input_ids\":[1]}", score)).Fails(2, "--trace takes one text");
        (await Cli.RunWithInputAsync("x", score)).Fails(3, "not valid JSON");
        Assert.Empty(temp.Names);
    }

    /// <summary>Traces an input of the goldens with our CPU device.</summary>
    private static async Task<string> TraceAsync(TempFolder temp, string input)
    {
        JsonElement golden = Cli.Json(await File.ReadAllTextAsync(Path.Combine(Golden, "goldens.json"))).GetProperty("inputs").EnumerateArray().Single(i => i.GetProperty("name").GetString() == input);
        string line = $"{{\"id\":\"{input}\",\"input_ids\":{golden.GetProperty("input_ids")[0].GetRawText().ReplaceLineEndings(" ")}}}";
        Outcome run = await Cli.RunWithInputAsync(line, "score", "--model", Golden, "--device", "cpu", "--input", "-", "--trace", temp["actual.json"]);
        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Equal(golden.GetProperty("f64").GetProperty("score")[0].GetDouble(), run.Lines[0].GetProperty("score").GetDouble(), 1e-4);
        return temp["actual.json"];
    }

    private static string Trace(string shapeX, double[] x, string y, string shapeY, double[] valuesY) =>
        $"{{\"t\":{{\"x\":{Tensor(shapeX, x)},\"{y}\":{Tensor(shapeY, valuesY)}}}}}";

    private static string Tensor(string shape, double[] values) =>
        $"{{\"dtype\":\"f64le\",\"shape\":{shape},\"base64\":\"{Convert.ToBase64String([.. values.SelectMany(BitConverter.GetBytes)])}\"}}";
}
