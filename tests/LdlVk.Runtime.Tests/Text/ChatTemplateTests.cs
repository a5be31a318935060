using CsCheck;
using LdlVk.Runtime.Text;
using Xunit;

namespace LdlVk.Runtime.Tests.Text;

public class ChatTemplateTests
{
    // [c for c in map(chr, range(0x10000)) if c.isspace()] in Python 3
    private const string PythonSpaces = "\t\n\v\f\r\x1c\x1d\x1e\x1f \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
        + "\u2028\u2029\u202f\u205f\u3000";

    [Fact]
    public void Content_is_stripped_of_what_Python_calls_white_space()
    {
        for (char c = '\0'; c < '\uffff'; c++)
        {
            string stripped = PythonSpaces.Contains(c) ? "x" : $"{c}x{c}";
            Assert.Equal($"<bos><start_of_turn>user\n{stripped}<end_of_turn>\n", ChatTemplate.Gemma2.Render([new("user", $"{c}x{c}")]));
        }
    }

    [Fact]
    public void A_conversation_is_its_turns_one_after_the_other() => Gen.String.Array[1, 6].Sample(contents =>
    {
        Message[] messages = [.. contents.Select((content, i) => new Message(i % 2 == 0 ? "user" : "assistant", content))];
        string before = ChatTemplate.Gemma2.Render(messages);
        Message next = new(messages.Length % 2 == 0 ? "user" : "model", "more");
        Assert.Equal($"{before}<start_of_turn>{next.Role}\nmore<end_of_turn>\n", ChatTemplate.Gemma2.Render([.. messages, next]));
        Assert.Equal($"{before}<start_of_turn>model\n", ChatTemplate.Gemma2.Render(messages, addGenerationPrompt: true));
    });

    [Fact]
    public void Ids_begin_with_one_bos_and_end_with_the_turn()
    {
        Assert.True(Goldens.Mini.TryGetId("<end_of_turn>", out int end) & Goldens.Mini.TryGetId("\n", out int newline));
        int[] ids = ChatTemplate.Gemma2.Encode(Goldens.Mini, [new("user", "Hi"), new("assistant", "")]);
        Assert.Equal(Goldens.Mini.Bos, ids[0]);
        Assert.Equal([end, newline], ids[^2..]);
        Assert.Single(ids, Goldens.Mini.Bos!.Value);
    }

    [Fact]
    public void Errors_say_where_and_what_to_do()
    {
        Assert.Contains("first user message", Refusal(new Message("system", "x")), StringComparison.Ordinal);
        Assert.Contains("Message 1 ", Refusal(new("user", "x"), new("user", "y")), StringComparison.Ordinal);
        Assert.Contains("\"human\"", Refusal(new Message("human", "x")), StringComparison.Ordinal);
        Assert.Contains("Message 0 ", Refusal(default(Message)), StringComparison.Ordinal);
        Assert.Contains("no content", Refusal(new Message("user", null!)), StringComparison.Ordinal);
        Assert.True(Refusal(new Message("\0\ud800" + new string('x', 100_000), "x")).Length < 1000);

        static string Refusal(params Message[] messages) => Assert.Throws<InputException>(() => ChatTemplate.Gemma2.Render(messages)).Message;
    }
}
