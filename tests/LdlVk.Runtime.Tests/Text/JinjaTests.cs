using System.Diagnostics;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LdlVk.Runtime.Text.Jinja;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Text;

/// <summary>The interpreter of templates against Jinja2: tests/data/templates/README.md.</summary>
public class JinjaTests
{
    private static readonly DateTime Clock = new(2026, 3, 7, 9, 5, 4);

    private static Dictionary<string, object> Variables { get; } =
        JsonDocument.Parse(File.ReadAllText(Repository.Path("tests", "data", "templates", "variables.json"))).RootElement.EnumerateObject()
            .ToDictionary(property => property.Name, property => JsonValues.Of(property.Value));

    private static string Render(string template) => new JinjaTemplate(template).Render(Variables, 1000, Clock).Text.Value;

    [Fact]
    public void Templates_give_what_Jinja2_gives_and_fail_where_it_fails()
    {
        List<JsonElement> lines = Goldens.Lines("tests", "data", "templates", "expressions.jsonl");
        Assert.Equal(259, lines.Count);
        List<string> wrong = [];
        foreach (JsonElement line in lines)
        {
            string template = line.Text("template"), wanted = line.TryGetProperty("text", out JsonElement text) ? text.GetString()! : "an error";
            string got, why = line.TryGetProperty("error", out JsonElement error) ? $"{error}: {line.Text("message")}" : "";
            try
            {
                got = Render(template);
            }
            catch (JinjaException e)
            {
                (got, why) = ("an error", $"{why} {e.Fault} of line {e.Line}: {e.Message}");
            }

            if (got != wanted) wrong.Add($"{template}\n  wanted {wanted}\n  got    {got} {why}");
        }

        Assert.True(wrong.Count == 0, $"{wrong.Count}:\n{string.Join('\n', wrong)}");
    }

    /// <summary>All of the 9,072 renders, those with Python's own spelling of lists too; what a template refuses is refused with its words.</summary>
    [Fact]
    public void Public_templates_give_what_transformers_gives()
    {
        string folder = Fetched();
        List<JsonElement> conversations = Packed("conversations.jsonl.gz");
        int count = 0;
        List<string> wrong = [];
        foreach (JsonElement line in Packed("renders.jsonl.gz"))
        {
            JinjaTemplate template = new(Source(folder, line));
            foreach ((JsonElement conversation, JsonElement wanted) in conversations.Zip(line.GetProperty("renders").EnumerateArray()))
            {
                count++;
                string? text = null, error = null;
                try
                {
                    text = template.Render(VariablesOf(line, conversation), conversation.GetRawText().Length, Clock).Text.Value;
                }
                catch (JinjaException e)
                {
                    error = e.Fault == JinjaFault.Refused ? e.Message : "";
                }

                bool refused = wanted.ValueKind == JsonValueKind.Object;
                bool same = refused
                    ? error is not null && (wanted.Text("error") != "raise_exception" || error == wanted.Text("message"))
                    : text == wanted.GetString();
                if (!same) wrong.Add($"{line.Text("name")} {conversation.Text("conversation")}: wanted {wanted}, got {text ?? error}");
            }
        }

        Assert.Equal(9072, count);
        Assert.True(wrong.Count == 0, $"{wrong.Count}:\n{string.Join('\n', wrong.Take(5))}");
    }

    /// <summary>Each character that a message wrote is found: the words of the test are in no template, and are marked wherever they stand.</summary>
    [Fact]
    public void What_a_message_wrote_is_marked_under_every_public_template()
    {
        string folder = Fetched();
        const string user = "Qzx<|im_end|>wv 👍🏽 ÿ", assistant = "Kjq<end_of_turn>xz\nß";
        using JsonDocument messages = JsonDocument.Parse(JsonSerializer.Serialize(
            new[] { new { role = "user", content = user }, new { role = "assistant", content = assistant } }));
        foreach (JsonElement line in Packed("renders.jsonl.gz"))
        {
            Dictionary<string, object> variables = VariablesOf(line, null);
            variables["messages"] = JsonValues.Of(messages.RootElement);
            MarkedText text = new JinjaTemplate(Source(folder, line)).Render(variables, 1000, Clock).Text;
            foreach (string words in (string[])[user, assistant])
            {
                int at = text.Value.IndexOf(words, StringComparison.Ordinal);
                Assert.True(at >= 0, $"{line.Text("name")}: {text.Value}");
                Assert.True(IsMarked(text, at, at + words.Length), $"{line.Text("name")}: {words} is not marked");
            }

            string bos = line.GetProperty("bos_token").GetString() ?? "";
            if (bos.Length > 0 && text.Value.StartsWith(bos, StringComparison.Ordinal)) Assert.False(IsMarked(text, 0, 1), line.Text("name"));
        }
    }

    [Theory]
    [InlineData("{{ x | trim }}|{{ x.split('b')[1] }}|{{ x[1:3] }}", "abc|c|bc", "abc c bc")]
    [InlineData("{{ '<' + x + '>' }}{{ '%s!' % x }}{{ '{}?'.format(x) }}", "<abc>abc!abc?", "abc abc abc")]
    [InlineData("{{ x.replace('b', '-') }}{{ 'a-c'.replace('-', x) }}", "a-caabcc", "a c abc")]
    [InlineData("{{ {'k': x} | tojson }}{{ [x] }}{{ x | indent }}", "{\"k\": \"abc\"}['abc']abc", "abc abc abc")]
    [InlineData("{% set y %}<{{ x }}>{% endset %}{{ y | upper }}{{ [x, 'd'] | join('-') }}", "<ABC>abc-d", "ABC abc")]
    [InlineData("{% macro m(v) %}[{{ v }}]{% endmacro %}{{ m(x) }}{{ x ~ 1 }}{% for c in x %}{{ c }},{% endfor %}", "[abc]abc1a,b,c,", "abc abc a b c")]
    [InlineData("{{ x.center(7, '*') }}{{ x * 2 }}{{ x | reverse }}{{ 'x' }}", "**abc**abcabccbax", "abc abcabccba")]
    public void What_a_message_wrote_stays_marked_in_every_operation(string template, string text, string marked)
    {
        MarkedText result = new JinjaTemplate(template).Render([new("x", MarkedText.OfMessage("abc"))], 10, Clock).Text;
        Assert.Equal(text, result.Value);
        Assert.Equal(marked, string.Join(' ', result.Typed.ToArray().Select(range => result.Value[range])));
    }

    [Theory]
    [InlineData("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")]
    [InlineData("{% set ns = namespace(x='ab') %}{% for a in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}")]
    [InlineData("{% set ns = namespace(x=[1]) %}{% for a in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}")]
    [InlineData("{% set ns = namespace(x=[1]) %}{% for a in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}")]
    [InlineData("{% set ns = namespace(x=[1], y=[1]) %}{% for a in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}")]
    [InlineData("{% set ns = namespace(x=[1]) %}{% for a in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson }}")]
    [InlineData("{% set ns = namespace(x=[1]) %}{% for a in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | string }}")]
    [InlineData("{{ 'a' * 999999999999 }}")]
    [InlineData("{{ [1] * 999999999999 }}")]
    [InlineData("{{ 'a'.center(999999999999) }}")]
    [InlineData("{{ '%999999999d' % 1 }}")]
    [InlineData("{{ '{:999999999}'.format(1) }}")]
    [InlineData("{{ ('a' * 1000000).replace('', 'b' * 1000000) }}")]
    [InlineData("{{ ('a' * 3000000) | replace('a', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb') }}")]
    [InlineData("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}")]
    [InlineData("{% macro m(a) %}{{ m(m(a)) }}{% endmacro %}{{ m(1) }}")]
    [InlineData("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}")]
    [InlineData("{{ range(100000) | map('string') | map('center', 1000000) | join }}")]
    [InlineData("{{ [1, 2] | batch(1000000000, 0) | list }}")]
    [InlineData("{{ [1, 2] | slice(1000000000) | list }}")]
    [InlineData("{{ range(100000) | unique | list | length }}")]
    [InlineData("{{ ([[1]] * 100000) | sum(start=[]) | length }}{% for a in range(1000) %}{{ ([[1]] * 100000) | sum(start=[]) | length }}{% endfor %}")]
    [InlineData("{{ '{\"a\": 1}' | tojson(indent=1000000000) }}{{ [[[[1]]]] | tojson(indent=1000000000) }}{% for a in range(99999) %}{{ range(1000) | list | tojson(indent=1000) }}{% endfor %}")]
    public void A_template_without_end_is_stopped(string template)
    {
        Stopwatch clock = Stopwatch.StartNew();
        long before = GC.GetTotalAllocatedBytes();
        JinjaException error = Assert.Throws<JinjaException>(() => Render(template));
        Assert.Equal(JinjaFault.Limit, error.Fault);
        Assert.Equal(1, error.Line);
        // Generous: the limit is of work, and this only tells seconds from hours.
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(60), $"{clock.Elapsed}");
        Assert.True(GC.GetTotalAllocatedBytes() - before < 4L << 30);
    }

    [Fact]
    public void Sources_that_nest_without_end_are_refused()
    {
        foreach (string source in (string[])
        [
            "{{ " + new string('(', 100_000) + "1" + new string(')', 100_000) + " }}",
            "{{ " + string.Concat(Enumerable.Repeat("1 + ", 100_000)) + "1 }}",
            "{{ " + string.Concat(Enumerable.Repeat("not ", 100_000)) + "1 }}",
            "{{ " + string.Concat(Enumerable.Repeat("- ", 100_000)) + "1 }}",
            "{{ 1" + string.Concat(Enumerable.Repeat(" | string", 100_000)) + " }}",
            "{{ a" + string.Concat(Enumerable.Repeat(".a", 100_000)) + " }}",
            "{{ a" + string.Concat(Enumerable.Repeat("(1)", 100_000)) + " }}",
            "{{ 1" + string.Concat(Enumerable.Repeat(" if 1 else 1", 100_000)) + " }}",
            "{{ " + string.Concat(Enumerable.Repeat("{1: ", 100_000)),
            string.Concat(Enumerable.Repeat("{% if 1 %}", 100_000)),
            "{% set " + new string('(', 100_000) + "a = 1 %}",
        ])
            Assert.Throws<JinjaException>(() => Render(source));
    }

    /// <summary>Whatever is cut out of, put into or changed in a template, it renders or is refused with a line.</summary>
    [Fact]
    public void Damaged_templates_are_refused_or_render()
    {
        string[] seeds = [.. Goldens.Lines("tests", "data", "templates", "expressions.jsonl").Select(line => line.Text("template"))];
        Random random = new(7);
        for (int i = 0; i < 30_000; i++)
        {
            StringBuilder source = new(seeds[random.Next(seeds.Length)]);
            for (int changes = random.Next(1, 4); changes > 0; changes--)
            {
                string other = seeds[random.Next(seeds.Length)];
                int at = random.Next(source.Length + 1), from = random.Next(other.Length), to = random.Next(from, Math.Min(other.Length, from + 12) + 1);
                if (random.Next(2) == 0) source.Remove(at, Math.Min(random.Next(6), source.Length - at));
                source.Insert(Math.Min(at, source.Length), other[from..to]);
            }

            try
            {
                Render(source.ToString());
            }
            catch (JinjaException e)
            {
                Assert.True(e.Line > 0, $"{source}: {e.Message}");
            }
            catch (Exception e) when (e is not JinjaException)
            {
                Assert.Fail($"{source}\n{e}");
            }
        }
    }

    private static string Fetched()
    {
        (string? folder, string? whyNot) = FetchScript.Run("fetch-templates");
        if (folder is null) Assert.Skip(whyNot!);
        return folder;
    }

    private static string Source(string folder, JsonElement line)
    {
        string name = line.Text("name"), path = line.Text("path");
        string source = name.StartsWith("lenml-", StringComparison.Ordinal)
            ? JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, $"{name}.json"))).RootElement.Text("chat_template")
            : File.ReadAllText(Path.Combine(folder, path[(path.LastIndexOf('/') + 1)..]));
        Assert.Equal(line.Text("sha256"), Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(source))));
        return source;
    }

    private static Dictionary<string, object> VariablesOf(JsonElement template, JsonElement? conversation)
    {
        Dictionary<string, object> variables = new(StringComparer.Ordinal) { ["tools"] = None.Value, ["documents"] = None.Value };
        foreach (string name in (string[])["bos_token", "eos_token"])
            if (template.GetProperty(name).GetString() is { } token) variables[name] = MarkedText.OfTemplate(token);
        variables["add_generation_prompt"] = Python.Of(conversation?.GetProperty("add_generation_prompt").GetBoolean() ?? false);
        if (conversation is { } given) variables["messages"] = JsonValues.Of(given.GetProperty("messages"));
        return variables;
    }

    private static bool IsMarked(MarkedText text, int from, int to)
    {
        foreach (Range range in text.Typed)
            if (range.Start.Value <= from && to <= range.End.Value) return true;
        return false;
    }

    private static List<JsonElement> Packed(string name)
    {
        using StreamReader reader = new(new GZipStream(File.OpenRead(Repository.Path("tests", "data", "templates", name)), CompressionMode.Decompress));
        List<JsonElement> lines = [];
        while (reader.ReadLine() is { } line) lines.Add(JsonDocument.Parse(line).RootElement);
        return lines;
    }
}
