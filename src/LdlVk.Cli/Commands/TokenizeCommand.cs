using System.CommandLine;
using System.Text.Json;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Checkpoints.Adapters;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk tokenize</c>: converts texts and conversations to token ids. Needs only the tokenizer.</summary>
internal static class TokenizeCommand
{
    private const string Notes = """
        Input lines:   {"id"?, "text"}                                   no <bos> is added
          or           {"id"?, "messages": [{"role", "content"}, …]}     through the template
        Output lines:  {"id"?, "ids": […]}
          or           {"id", "error"}, and exit code 3 at the end
        """;

    public static Command Create(Terminal terminal)
    {
        Option<string> model = ModelFlags.CreateModel();
        Option<string?> adapter = ModelFlags.CreateAdapter();
        TemplateFlags template = new();
        model.Description = "Folder with tokenizer.json or tokenizer.model; nothing else of the model is needed.";
        Option<string?> input = TextFlags.CreateInput(
            $"{TextFlags.DataSet}; - for standard input.");
        Option<string?> output = TextFlags.CreateOutput();
        input.Required = true;
        Command command = new NotedCommand("tokenize", "Convert texts and conversations to token ids.", Notes)
        {
            model, adapter, input, output,
        };
        template.AddTo(command);
        command.SetAction((call, cancellationToken) =>
        {
            using LineSource source = terminal.OpenInput(call.GetValue(input)!, cancellationToken);
            string folder = ModelFolders.FindText(call.GetValue(model)!, ModelValues.Adapter(call, adapter));
            TextEncoder encoder = template.Encoder(call, folder);
            if (!encoder.HasTokenizer)
                throw new CheckpointException(
                    $"{folder} has neither tokenizer.json nor tokenizer.model. Give the folder of a downloaded Hugging Face model.");
            using OutputFile file = terminal.OpenOutput(call.GetValue(output), output.Name, isLines: true);
            ResultWriter result = new(file.Stream);
            int code = ExitCode.Success;
            foreach (RawLine line in source.RawLines())
            {
                cancellationToken.ThrowIfCancellationRequested();
                (string? id, int[] ids, string? error) = JsonLine.Read(
                    line, (json, id) => Encode(encoder, json, id), (id, error) => (id, (int[])[], error));
                if (error is null) Write(result, id, ids);
                else result.WriteError(id!, error);
                if (error is not null) code = ExitCode.SomeFailed;
            }

            file.Complete();
            return Task.FromResult(code);
        });
        return command;
    }

    private static void Write(ResultWriter result, string? id, int[] ids) => result.Write(json =>
    {
        if (id is not null) RewardJson.WriteId(json, id);
        json.WriteStartArray("ids");
        foreach (int token in ids) json.WriteNumberValue(token);
        json.WriteEndArray();
    });

    private static (string? Id, int[] Ids, string? Error) Encode(TextEncoder encoder, JsonElement line, string id)
    {
        string? given = JsonLine.Fields.Find(line, "id") is null ? null : id;
        return (JsonLine.Fields.Find(line, "text"), JsonLine.Fields.Find(line, "messages")) switch
        {
            ({ } text, null) => (given, encoder.Encode(JsonLine.Fields.String(text, "text")), null),
            (null, { } messages) => (given, encoder.Encode(new Conversation(JsonLine.Fields.Messages(messages))), null),
            _ => throw new InputException("the line needs either text or messages."),
        };
    }
}
