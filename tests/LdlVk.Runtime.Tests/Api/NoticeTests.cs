using System.Globalization;
using Xunit;

namespace LdlVk.Runtime.Tests.Api;

public class NoticeTests
{
    private static string Word(string name, string value) => $"<{name}|{value}>";

    [Fact]
    public void Each_surface_words_the_options_of_a_message()
    {
        Notice notice = $"Use smaller weights ({OptionName.Weights.Of("int8 or int4")}) or a smaller {OptionName.BatchTokens}.";
        Assert.Equal("Use smaller weights (<Weights|int8 or int4>) or a smaller <BatchTokens|>.", notice.Say(Word));
        Assert.Equal("Use smaller weights (Weights = int8 or int4) or a smaller BatchTokens.", notice.ToString());
        Assert.Equal(["Weights", "BatchTokens"], notice.Options);
    }

    [Fact]
    public void A_message_inside_another_keeps_its_options()
    {
        Notice inner = $"out of memory; lower {OptionName.BatchTokens}.";
        Notice outer = $"vulkan:0 failed: {inner} Or use {OptionName.Device.Of("cpu")}.";
        Assert.Equal("vulkan:0 failed: out of memory; lower <BatchTokens|>. Or use <Device|cpu>.", outer.Say(Word));
        Assert.Equal("a: out of memory; lower <BatchTokens|>.", ("a: " + inner).Say(Word));
        Assert.Equal("out of memory; lower <BatchTokens|>. b", (inner + " b").Say(Word));
        Assert.Equal("out of memory; lower <BatchTokens|>.; c", Notice.Join("; ", [inner, "c"]).Say(Word));
        Notice? none = null;
        Assert.Equal("x", ((Notice)$"x{none}").Say(Word));
    }

    [Fact]
    public void An_exception_carries_the_options_of_its_message()
    {
        DeviceException error = new($"no room; lower {OptionName.BatchTokens}.");
        Assert.Equal("no room; lower BatchTokens.", error.Message);
        Assert.Equal("no room; lower <BatchTokens|>.", error.Notice.Say(Word));
        Assert.Equal(["BatchTokens"], error.Notice.Options);
        Assert.Empty(new UsageException("no").Notice.Options);
    }

    [Fact]
    public void Numbers_are_written_invariantly()
    {
        CultureInfo before = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo.CurrentCulture = new CultureInfo("") { NumberFormat = { NumberDecimalSeparator = ",", NumberGroupSeparator = "." } };
            Notice notice = $"{1.75:F1} of {1234567:N0} {'c'}{null}{1.5}";
            Assert.Equal("1.8 of 1,234,567 c1.5", notice.ToString());
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Fact]
    public void Messages_are_equal_by_text_and_options()
    {
        Notice a = $"use {OptionName.Split.Of("1,2")}.", b = $"use {OptionName.Split.Of("1,2")}.";
        Assert.Equal(a, b);
        Assert.Equal(a.GetHashCode(), b.GetHashCode());
        Assert.NotEqual(a, a.ToString());
        Assert.NotEqual(a, $"use {OptionName.Split.Of("2,1")}.");
        Assert.NotEqual(a, (Notice)$"use {OptionName.Memory.Of("1,2")}.");
    }
}
