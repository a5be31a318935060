using System.Text;
using System.Text.Json.Nodes;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;

namespace LdlVk.Datasets.Tests;

/// <summary>Each form of an item is the same conversation as its messages, or an error that names the field. There is no third outcome.</summary>
public sealed class ItemReaderTests
{
    private static readonly string[] Words = ["sea", "Define \"sea\".", "  a line\nand another  ", "", "Human: no", "x\n\ny", "ü😀", "<eos>", "[INST]"];

    [Fact]
    public void Every_form_of_a_conversation_is_that_conversation()
    {
        Random random = new(1);
        for (int run = 0; run < 500; run++)
        {
            Message[] messages = Conversation(random);
            foreach ((string form, JsonObject item) in Forms(messages, random))
            {
                InputLine line = Read(item);
                Assert.True(line.Error is null, $"{form}: {line.Error}: {item.ToJsonString()}");
                Assert.True(line.Item.Conversations[0].Messages.SequenceEqual(messages), $"{form}: {item.ToJsonString()}");
                Assert.Null(line.Item.Doubt);
            }
        }
    }

    [Fact]
    public void A_name_that_stands_twice_is_an_error_that_names_it()
    {
        string error = InputLine.Parse(new RawLine(0, Encoding.UTF8.GetBytes("""{"prompt":"a","prompt":"b","response":"c"}"""))).Error!;
        Assert.StartsWith("the line is not valid JSON: ", error, StringComparison.Ordinal);
        Assert.Contains("'prompt'", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_field_that_would_change_the_text_is_an_error_that_names_it()
    {
        Random random = new(2);
        (string Name, string Value)[] changing =
        [
            ("tools", """[{"name":"f"}]"""), ("functions", """[{"name":"f"}]"""), ("documents", """["d"]"""), ("context", "\"c\""), ("images", """["i"]"""),
            ("system", "\"Another system message.\""), ("history", """[["a","b"]]"""), ("input", "\"below\""), ("question", "\"another\""),
            ("response", "\"another\""), ("responses", """["another"]"""), ("text", "\"t\""), ("input_ids", "[1]"), ("chosen", "\"another\""), ("rejected", "\"another\""),
            ("messages", """[{"role":"user","content":"another"},{"role":"assistant","content":"x"}]"""),
        ];
        for (int run = 0; run < 80; run++)
        {
            Message[] messages = Conversation(random);
            foreach ((string form, JsonObject item) in Forms(messages, random))
            {
                foreach ((string name, string value) in changing)
                {
                    if (item.ContainsKey(name)) continue;
                    JsonObject changed = (JsonObject)item.DeepClone();
                    changed[name] = JsonNode.Parse(value);
                    InputLine line = Read(changed);
                    // What is not refused is used, or told of.
                    if (line.Error is null)
                    {
                        bool isUsed = !line.Item.Conversations[0].Messages.SequenceEqual(messages) || line.Item.Texts != Read(item).Item.Texts;
                        Assert.True(isUsed || line.Item.Doubt is not null, $"{form} with {name}: {changed.ToJsonString()}");
                    }
                    else
                    {
                        Assert.Contains(name, line.Error, StringComparison.Ordinal);
                    }
                }
            }
        }
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]}]}""", "messages[0] has tool_calls")]
    [InlineData("""{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","reasoning_content":"c"}]}""", "messages[1] has reasoning_content")]
    [InlineData("""{"prompt":"a","system":"s","system_message":"t","response":"b"}""", "system and system_message")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image_url","image_url":"x"}]}]}""", "messages[0].content[0] is a part of type \"image_url\"")]
    [InlineData("""{"messages":{"role":["user"],"content":["a","b"]}}""", "messages.role has 1 items, and messages.content has 2")]
    [InlineData("""{"conversations":[{"from":"observation","value":"a"}]}""", "conversations[0].from is \"observation\"")]
    [InlineData("""{"prompt":"a","question":"b","response":"c"}""", "prompt and question, which differ")]
    [InlineData("""{"prompt":"a","input":"b","response":"c"}""", "prompt and input. Only an instruction")]
    [InlineData("""{"prompt":[{"role":"user","content":"a"}],"chosen":[{"role":"user","content":"b"},{"role":"assistant","content":"c"}],"rejected":"d"}""", "chosen is a whole conversation that does not begin with prompt")]
    [InlineData("""{"prompt":"a","chosen":"b"}""", "the line has no rejected")]
    [InlineData("""{"chosen":"b","rejected":"c"}""", "the line has chosen, which is not enough: there is no prompt")]
    [InlineData("""{"chosen":"\n\nHuman: a\n\nAssistant: b\n\nHuman: c","rejected":"\n\nHuman: a\n\nAssistant: d"}""", "chosen does not end with an assistant's message")]
    [InlineData("""{"messages":"[{\"role\":\"user\",\"content\":\"a\"}]"}""", "messages is a string, not a list")]
    [InlineData("""{"system":"a","messages":[{"role":"system","content":"b"},{"role":"user","content":"c"}]}""", "system differs from the system message of messages")]
    [InlineData("""{"prompt":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"response":"c"}""", "prompt ends with an assistant's message")]
    [InlineData("""{"input_ids":[5,6,0],"attention_mask":[1,1,0]}""", "attention_mask hides token 2")]
    [InlineData("""{"input_ids":[0,5,6],"attention_mask":[0,1,1]}""", "attention_mask hides token 0")]
    [InlineData("""{"input_ids":[5,6],"attention_mask":[1]}""", "attention_mask has 1 numbers for 2 token ids")]
    [InlineData("""{"input_ids":[5,6],"attention_mask":"11"}""", "attention_mask is a string")]
    [InlineData("""{"input_ids":[5,6],"position_ids":[1,2]}""", "position_ids are not 0, 1, 2")]
    [InlineData("""{"prompt":"p","steps":"a"}""", "steps is a string. It must be a list of strings")]
    [InlineData("""{"prompt":"p","steps":[{"text":"a"}]}""", "steps holds other values than strings")]
    public void What_contradicts_itself_is_refused(string item, string error) => Assert.Contains(error, Read(item).Error, StringComparison.Ordinal);

    [Theory]
    [InlineData("""{"prompt":"p","response_a":"a","response_b":"b","winner":"model_a"}""", 0)]
    [InlineData("""{"question":"p","response_A":"a","response_B":"b","label":"B>A"}""", 1)]
    [InlineData("""{"prompt":"p","response_1":"a","response_2":"b","preference":2}""", 1)]
    [InlineData("""{"prompt":"p","response_1":"a","response_2":"b","preference_strength":-3}""", 0)]
    [InlineData("""{"prompt":"p","response1":"a","response2":"b","overall_preference":1}""", 1)]
    [InlineData("""{"prompt":"p","response_0":"a","response_1":"b","better_response_id":0}""", 0)]
    [InlineData("""{"prompt":"p","response_a":"a","response_b":"b","winner_model_a":0,"winner_model_b":1,"winner_tie":0}""", 1)]
    [InlineData("""{"prompt":"p","answer_a":"a","answer_b":"b","chosen":"A"}""", 0)]
    [InlineData("""{"prompt":"p","response_a":"a","response_b":"b","winner":"tie"}""", null)]
    [InlineData("""{"prompt":"p","response_a":"a","response_b":"b","label":1}""", null)]
    [InlineData("""{"prompt":"p","response_a":"a","response_b":"b"}""", null)]
    public void A_label_says_which_response_is_better(string item, int? best)
    {
        Item read = Read(item).Item;
        Assert.Equal(["a", "b"], read.Conversations.Select(c => c.Messages[^1].Content));
        Assert.Equal(best is { } index ? [index] : [], read.Preference!.Chosen);
        Assert.Equal(best is null, read.Preference.Unknown is not null);
    }

    /// <summary>A row as the card of nvidia/HelpSteer3 shows it.</summary>
    [Fact]
    public void A_context_of_messages_is_the_prompt()
    {
        Item read = Read("""
            {"domain":"general","language":"english","context":[{"role":"user","content":"p"},{"role":"assistant","content":"q"},{"role":"user","content":"r"}],
             "response1":"a","response2":"b","overall_preference":-2,"individual_preference":[{"score":-2,"reasoning":"x","feedback1":"y","feedback2":"z"}]}
            """).Item;
        Assert.Equal(["p q r a", "p q r b"], read.Conversations.Select(c => string.Join(' ', c.Messages.Select(m => m.Content))));
        Assert.Equal([0], read.Preference!.Chosen);
    }

    [Theory]
    [InlineData("""{"prompt":"p","context":"documents","response":"a"}""", "context would be a part of the text")]
    [InlineData("""{"prompt":"p","context":["document"],"response":"a"}""", "context would be a part of the text")]
    [InlineData("""{"prompt":"p","context":[{"role":"user","content":"q"}],"response":"a"}""", "prompt and context, which differ")]
    public void Any_other_context_is_refused(string item, string error) => Assert.Contains(error, Read(item).Error, StringComparison.Ordinal);

    [Theory]
    [InlineData("""{"input_ids":[5,6],"attention_mask":[1,1],"position_ids":[0,1],"token_type_ids":[0,0]}""")]
    [InlineData("""{"input_ids":[5,6],"attention_mask":null,"position_ids":null}""")]
    public void What_a_tokenizer_writes_of_a_text_without_padding_changes_nothing(string item)
    {
        Assert.Null(Read(item).Error);
        Assert.Equal([5, 6], Read(item).Item.Ids!);
    }

    [Fact]
    public void A_prompt_that_a_whole_conversation_does_not_hold_is_told_of() =>
        Assert.Contains("prompt is not in messages", Read("""{"prompt":"x","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}""").Item.Doubt, StringComparison.Ordinal);

    [Fact]
    public void All_numbered_responses_are_read()
    {
        Item item = Read("""{"prompt":"p","response_1":"a","response_2":"b","response_3":"c","scores":[0,1,0]}""").Item;
        Assert.Equal(["a", "b", "c"], item.Conversations.Select(c => c.Messages[^1].Content));
        Assert.True(item.HasResponses);
        Assert.Contains("response_4", Read("""{"prompt":"p","response_1":"a","response_2":"b","response_3":"c","response_5":"d"}""").Error, StringComparison.Ordinal);
        Assert.Contains("do not go together", Read("""{"prompt":"p","response":"z","response_1":"a","response_2":"b","response_3":"c"}""").Error, StringComparison.Ordinal);
        Assert.Equal(2, Read("""{"prompt":"p","response_1":"a","response_2":"b","response_3":null}""").Item.Conversations.Count);
    }

    [Fact]
    public void A_map_names_the_only_fields_that_are_read()
    {
        ItemFields map = ItemFields.Parse("prompt=meta.problem,response=solution");
        InputLine line = InputLine.Parse(Raw("""{"meta":{"problem":"p"},"solution":"s","prompt":"other","response":"other","tools":[1]}"""), map);
        Assert.Equal([new Message("user", "p"), new Message("assistant", "s")], line.Item.Conversations[0].Messages);
        Assert.Contains("none of the fields that the map names", InputLine.Parse(Raw("""{"prompt":"a","response":"b"}"""), map).Error, StringComparison.Ordinal);
        foreach ((string wrong, string error) in ((string, string)[])[("prompt", "PART=FIELD"), ("prompt=", "PART=FIELD"), ("title=a", "no part of an item"), ("prompt=a,prompt=b", "named twice")])
            Assert.Contains(error, Assert.Throws<UsageException>(() => ItemFields.Parse(wrong)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"prompt":"a","response":"NaN -Infinity","score":NaN,"min":-Infinity,"more":[Infinity]}""", "NaN -Infinity")]
    [InlineData("""{"prompt":"a","response":"\"NaN","score":NaN}""", "\"NaN")]
    public void Numbers_of_Python_that_are_not_JSON_are_null(string item, string response) => Assert.Equal(response, Read(item).Item.Conversations[0].Messages[1].Content);

    /// <summary>The forms of a conversation, each with the same messages.</summary>
    private static IEnumerable<(string Form, JsonObject Item)> Forms(Message[] messages, Random random)
    {
        JsonArray all = List(messages), before = List(messages[..^1]), last = List(messages[^1..]);
        string answer = messages[^1].Content;
        JsonArray parts = List(messages);
        foreach (JsonNode? message in parts) message!["content"] = new JsonArray(new JsonObject { ["type"] = "text", ["text"] = message["content"]!.GetValue<string>() });
        yield return ("messages", new JsonObject { ["messages"] = Copy(all), ["score"] = 3, ["source"] = "s" });
        yield return ("parts", new JsonObject { ["messages"] = parts });
        JsonArray empty = List(messages);
        foreach (JsonNode? message in empty) (message!["tool_calls"], message["function_call"]) = (new JsonArray(), null);
        yield return ("messages without calls", new JsonObject { ["messages"] = empty });
        yield return ("conversations", new JsonObject { ["conversations"] = Copy(all), ["tools"] = "", ["system"] = null });
        yield return ("ShareGPT", new JsonObject
        {
            ["conversations"] = new JsonArray([.. messages.Select(m => new JsonObject { ["from"] = m.Role == "user" ? "human" : m.Role == "assistant" ? "gpt" : m.Role, ["value"] = m.Content })]),
        });
        yield return ("struct of lists", new JsonObject
        {
            ["messages"] = new JsonObject
            {
                ["role"] = new JsonArray([.. messages.Select(m => (JsonNode)m.Role)]), ["content"] = new JsonArray([.. messages.Select(m => (JsonNode)m.Content)]),
            },
        });
        foreach (string name in (string[])["response", "completion", "answer", "output"])
            yield return ($"prompt as messages, {name}", new JsonObject { ["prompt"] = Copy(before), [name] = random.Next(2) == 0 ? answer : Copy(last) });
        yield return ("responses", new JsonObject { ["prompt"] = Copy(before), ["responses"] = new JsonArray(answer, "other") });
        yield return ("UltraFeedback", new JsonObject { ["prompt"] = Copy(before), ["completions"] = new JsonArray(new JsonObject { ["response"] = answer, ["model"] = "m" }) });
        yield return ("TRL's explicit pair", new JsonObject { ["prompt"] = Copy(before), ["chosen"] = Copy(last), ["rejected"] = Copy(last) });
        yield return ("whole conversations", new JsonObject { ["chosen"] = Copy(all), ["rejected"] = Copy(all), ["messages"] = Copy(all) });
        yield return ("whole conversations and their prompt", new JsonObject { ["prompt"] = messages[^2].Content, ["chosen"] = Copy(all), ["rejected"] = Copy(all) });
        yield return ("messages before a pair", new JsonObject { ["messages"] = Copy(before), ["chosen"] = Copy(last[0]!), ["rejected"] = "x" });
        Message[] turns = messages[0].Role == "system" ? messages[1..] : messages;
        JsonObject system = messages[0].Role == "system" ? new JsonObject { ["system"] = messages[0].Content } : [];
        if (messages[0].Content.Length == 0) yield break;
        yield return ("system beside messages", With(system, ("messages", List(turns))));
        JsonArray history = [.. turns[..^2].Chunk(2).Select(pair => new JsonArray(pair[0].Content, pair[1].Content))];
        yield return ("Alpaca", With(system, ("instruction", turns[^2].Content), ("input", ""), ("history", history), ("output", answer)));
        if (turns[^2].Content.IndexOf('\n', StringComparison.Ordinal) is > 0 and var at && turns[^2].Content[(at + 1)..] is { Length: > 0 } below)
            yield return ("Alpaca with an input", With(system, ("instruction", turns[^2].Content[..at]), ("input", below), ("history", Copy(history)), ("output", answer)));
        if (turns.Length == 2)
        {
            foreach (string name in (string[])["prompt", "instruction", "question", "query", "input"])
                yield return (name, With(system, (name, turns[0].Content), ("response", answer)));
        }

        if (system.Count > 0 || turns.Any(m => m.Content != m.Content.Trim() || m.Content.Contains("\n\nHuman:", StringComparison.Ordinal))) yield break;
        string transcript = string.Concat(turns.Select(m => $"\n\n{(m.Role == "user" ? "Human" : "Assistant")}: {m.Content}"));
        yield return ("hh-rlhf", new JsonObject { ["chosen"] = transcript, ["rejected"] = transcript });
        yield return ("hh-rlhf with its prompt", new JsonObject
        {
            ["prompt"] = transcript[..(transcript.LastIndexOf("\n\nAssistant:", StringComparison.Ordinal) + "\n\nAssistant:".Length)],
            ["response"] = answer, ["chosen"] = answer, ["rejected"] = "x",
        });
    }

    private static Message[] Conversation(Random random)
    {
        List<Message> messages = random.Next(4) == 0 ? [new Message("system", "Be brief.")] : [];
        for (int turns = random.Next(1, 4); turns > 0; turns--)
        {
            messages.Add(new Message("user", Words[random.Next(Words.Length)]));
            messages.Add(new Message("assistant", Words[random.Next(Words.Length)]));
        }

        return [.. messages];
    }

    private static JsonArray List(Message[] messages) => [.. messages.Select(m => new JsonObject { ["role"] = m.Role, ["content"] = m.Content })];

    private static JsonNode Copy(JsonNode node) => node.DeepClone();

    private static JsonObject With(JsonObject item, params (string Name, JsonNode Value)[] fields)
    {
        JsonObject copy = (JsonObject)item.DeepClone();
        foreach ((string name, JsonNode value) in fields) copy[name] = value;
        return copy;
    }

    private static InputLine Read(JsonObject item) => Read(item.ToJsonString());

    private static InputLine Read(string item) => InputLine.Parse(Raw(item));

    private static RawLine Raw(string item) => new(0, Encoding.UTF8.GetBytes(item));
}
