using System.Reflection;
using LdlVk.Cli.Options;
using LdlVk.Cli.Tests.Docs;
using LdlVk.Hub;

namespace LdlVk.Cli.Tests;

public class FlagWordingTests
{
    /// <summary>Names of the options that messages of the runtime name, and of those that a download's name.</summary>
    public static TheoryData<string> Names => [.. RuntimeNames, .. NamesOf(typeof(HubClient).Assembly.GetType("LdlVk.Hub.HubOption")!)];

    private static string[] RuntimeNames => NamesOf(typeof(OptionName));

    [Theory]
    [MemberData(nameof(Names))]
    public void An_option_of_a_message_is_a_flag(string name) =>
        Assert.Contains(FlagWording.Word(name, name == nameof(OptionName.Tune) ? "false" : "").Split(' ')[0], FlagTables.FlagsOf(null));

    [Fact]
    public void An_option_of_the_runtime_is_a_property()
    {
        Assert.NotEmpty(RuntimeNames);
        Assert.All(RuntimeNames, name => Assert.NotNull(typeof(RewardModelOptions).GetProperty(name)));
    }

    [Theory]
    [InlineData("BatchTokens", "", "--batch-tokens")]
    [InlineData("Weights", "int8 or int4", "--weights int8 or int4")]
    [InlineData("Tune", "false", "--no-tune")]
    [InlineData("Token", "", "--token-file FILE")]
    public void A_flag_is_the_name_in_lower_case(string name, string value, string flag) => Assert.Equal(flag, FlagWording.Word(name, value));

    private static string[] NamesOf(Type options) =>
        [.. options.GetProperties(BindingFlags.Static | BindingFlags.Public).Where(p => p.PropertyType == typeof(OptionName)).Select(p => p.Name)];
}
