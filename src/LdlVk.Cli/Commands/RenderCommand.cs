using System.CommandLine;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Checkpoints.Adapters;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk render</c>: shows the text that the model reads. Needs only the tokenizer's files.</summary>
internal static class RenderCommand
{
    private const string Notes = """
        Input lines: those of ldlvk score and ldlvk eval.
        Output lines:  {"id", "text"}          the text with its template and special tokens
          or           {"id", "texts": […]}    of several responses, or of a pair
          or           {"id", "error"}, and exit code 3 at the end
        Of a process reward model, the text has what marks its steps; that needs the weights' files.
        With --ids also the token ids, and position: the index of the token at which the score is read;
        gate_position, of a model with gates; step_positions, of a process reward model.
        With --template, messages go to the template with all their fields, and a line may have add_generation_prompt, tools, documents
        and chat_template_kwargs.
        """;

    public static Command Create(Terminal terminal)
    {
        Option<string> model = ModelFlags.CreateModel();
        Option<string?> adapter = ModelFlags.CreateAdapter();
        TemplateFlags template = new();
        TemplateRender alone = new();
        model.Required = false;
        model.Description =
            "Folder with the tokenizer and tokenizer_config.json; the weights, which are not read, must be there for --ids and for steps.";
        TextFlags texts = new(
            "The assistant's response; give several to see each.",
            $"{TextFlags.DataSet}; - for standard input.");
        Option<string?> output = TextFlags.CreateOutput();
        Option<bool> ids = new("--ids") { Description = "Add the token ids and the position at which the score is read." };
        Option<bool> quiet = ModelFlags.CreateQuiet();
        Option<string?> head = HeadFlags.CreateHead(), separator = HeadFlags.CreateSeparator();
        Command command = new NotedCommand("render", "Show the text that the model reads for each line.", Notes) { model, adapter };
        texts.AddTo(command);
        foreach (Option option in (Option[])[output, ids, head, separator, quiet]) command.Options.Add(option);
        template.AddTo(command);
        alone.AddTo(command);
        command.SetAction((call, cancellationToken) =>
        {
            using LineSource source = texts.Open(call, terminal, cancellationToken);
            bool hasFile = alone.IsGiven(call, model, [adapter, template.Template, template.System, ids, head, separator]);
            using OutputFile file = terminal.OpenOutput(call.GetValue(output), output.Name, isLines: true);
            ResultWriter result = new(file.Stream);
            if (hasFile)
            {
                int rendered = alone.Run(call, template, terminal, source, result, cancellationToken);
                file.Complete();
                return Task.FromResult(rendered);
            }

            string folder = call.GetValue(model)!;
            string? change = ModelValues.Adapter(call, adapter);
            TextEncoder encoder = template.Encoder(call, ModelFolders.FindText(folder, change));
            bool withIds = call.GetValue(ids);
            RewardModelOptions options = new()
            {
                Adapter = change, Head = call.GetValue(head), StepSeparator = HeadFlags.Separator(call, separator),
                ChatTemplate = template.Name(call), SystemMessages = template.OfSystem(call), TemplateDate = template.Date(call),
            };
            using RenderedHead reader = RenderedHead.Open(
                folder, options, isNeeded: withIds || options.Head is not null || options.StepSeparator is not null);
            ItemShapes shapes = new();
            int code = ExitCode.Success;
            foreach (InputLine line in source.Lines())
            {
                cancellationToken.ThrowIfCancellationRequested();
                shapes.Add(line.Item);
                if (Write(result, encoder, line, reader, withIds) is not { } error) continue;
                result.WriteError(line.Id, error);
                code = ExitCode.SomeFailed;
            }

            file.Complete();
            if (!call.GetValue(quiet)) foreach (string read in shapes.Read()) terminal.Error.WriteLine(read);
            foreach (string doubt in shapes.Doubts()) terminal.Say(doubt);
            return Task.FromResult(code);
        });
        return command;
    }

    /// <summary>Writes the texts of a line.</summary>
    /// <returns>The reason why it has none; null if it was written.</returns>
    private static string? Write(
        ResultWriter result, TextEncoder encoder, InputLine line, RenderedHead head, bool withIds)
    {
        if (line.Error is { } error) return error;
        string?[] texts;
        (int[] Ids, int[] Reads)[] read;
        try
        {
            texts = head.Texts(encoder, line.Item);
            read = withIds ? [.. head.Read(encoder, line.Item)] : [];
        }
        catch (InputException e)
        {
            return e.Notice.InFlags();
        }

        bool many = line.Item.HasResponses;
        result.Write(json =>
        {
            RewardJson.WriteId(json, line.Id);
            Each("text", texts, json.WriteStringValue);
            if (!withIds) return;
            Each("ids", [.. read.Select(text => text.Ids)], WriteNumbers);
            Each("position", [.. read.Select(text => text.Reads[^1])], json.WriteNumberValue);
            if (head.Checkpoint!.Head.GatePattern.Count > 0)
                Each("gate_position", [.. read.Select(text => text.Reads[0])], json.WriteNumberValue);
            if (head.Checkpoint.Head.StepMarks != StepMarks.None)
                Each("step_positions", [.. read.Select(text => text.Reads)], WriteNumbers);

            void WriteNumbers(int[] numbers)
            {
                json.WriteStartArray();
                foreach (int number in numbers) json.WriteNumberValue(number);
                json.WriteEndArray();
            }

            void Each<T>(string name, T[] values, Action<T> write)
            {
                if (!many)
                {
                    json.WritePropertyName(name);
                    write(values[0]);
                    return;
                }

                json.WriteStartArray(name.EndsWith('s') ? name : $"{name}s");
                foreach (T value in values) write(value);
                json.WriteEndArray();
            }
        });
        return null;
    }
}
