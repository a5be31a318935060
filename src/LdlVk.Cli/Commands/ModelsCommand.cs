using System.CommandLine;
using System.Text.Json;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk models</c>: lists the published reward models that LdlVk knows.</summary>
internal static class ModelsCommand
{
    private const string Notes = """
        Other models of the same families work too. Each fact has its source, which --json and the name of one model show; a fact without a
        source is left out. ldlvk verify scores the published examples with weights that you have.
        """;

    public static Command Create(Terminal terminal)
    {
        Argument<string?> name = new("NAME")
        {
            Description = "Show the models whose names contain this; one model with all that is known of it.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<bool> json = new("--json") { Description = "Write the result as JSON." };
        NotedCommand command = new("models", "List the published reward models that LdlVk knows.", Notes) { name, json };
        command.SetAction(call =>
        {
            string wanted = call.GetValue(name) ?? "";
            KnownModel[] found = [.. KnownModels.All.Where(m => m.Repository.Contains(wanted, StringComparison.OrdinalIgnoreCase))];
            if (found.Length == 0)
                throw new UsageException(
                    $"No known model has \"{wanted}\" in its name. ldlvk models lists them all; other models of their families work too.");
            if (call.GetValue(json)) WriteJson(found, terminal);
            else Show(found, terminal);
            return ExitCode.Success;
        });
        return command;
    }

    /// <summary>Writes the facts of a model as members of the current object.</summary>
    public static void Write(Utf8JsonWriter json, KnownModel model)
    {
        json.WriteString("repository", model.Repository);
        json.WriteString("model_type", model.ModelType);
        json.WriteString("head_tensor", model.HeadTensor);
        if (model.Shape is { } shape)
        {
            json.WriteStartObject("shape");
            json.WriteNumber("layers", shape.Layers);
            json.WriteNumber("hidden_size", shape.Hidden);
            json.WriteNumber("heads", shape.Heads);
            json.WriteNumber("kv_heads", shape.KeyValueHeads);
            json.WriteString("source", shape.Source);
            json.WriteEndObject();
        }

        foreach ((string fact, PublishedFact? value) in Facts(model))
        {
            if (value is null) continue;
            json.WriteStartObject(fact);
            json.WriteString("value", value.Value);
            json.WriteString("source", value.Source);
            json.WriteEndObject();
        }

        json.WriteStartArray("examples");
        foreach (PublishedScore example in model.Examples)
        {
            json.WriteStartObject();
            json.WriteStartArray("messages");
            foreach (Message message in example.Conversation.Messages)
            {
                json.WriteStartObject();
                json.WriteString("role", message.Role);
                json.WriteString("content", message.Content);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteNumber("score", example.Score);
            json.WriteString("precision", example.Precision.ToString().ToLowerInvariant());
            json.WriteString("source", example.Source);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static (string Name, PublishedFact? Fact)[] Facts(KnownModel model) =>
        [("head", model.Head), ("reads", model.Reads), ("template", model.Template), ("license", model.License)];

    private static void WriteJson(KnownModel[] models, Terminal terminal)
    {
        using JsonDocumentWriter document = new(terminal);
        document.Json.WriteStartArray("models");
        foreach (KnownModel model in models)
        {
            document.Json.WriteStartObject();
            Write(document.Json, model);
            document.Json.WriteEndObject();
        }

        document.Json.WriteEndArray();
    }

    private static void Show(KnownModel[] models, Terminal terminal)
    {
        using Screen screen = new(terminal);
        int width = models.Max(model => model.Repository.Length);
        foreach (KnownModel model in models)
        {
            if (models.Length > 1)
            {
                string examples = model.Examples.Count == 0 ? "" : ", published scores";
                screen.Line(Screen.Safe($"{model.Repository.PadRight(width)}  {model.ModelType}, {model.HeadTensor}{examples}"));
                continue;
            }

            screen.Line($"[bold]{Screen.Safe(model.Repository)}[/]");
            screen.Line(Screen.Safe($"  backbone  {model.ModelType}{Describe(model.Shape)}"));
            foreach ((string name, PublishedFact? fact) in Facts(model))
                if (fact is not null) screen.Line(Screen.Safe($"  {name,-8}  {fact.Value}  ({fact.Source})"));
            foreach (PublishedScore example in model.Examples)
                screen.Line(Screen.Safe(
                    $"  score     {VerifyCommand.Number(example.Score)} for \"{VerifyCommand.Short(example)}\"  ({example.Source})"));
        }
    }

    private static string Describe(BackboneShape? shape) => shape is null ? ""
        : $", {shape.Layers} layers of {shape.Hidden}, {shape.Heads} heads, {shape.KeyValueHeads} KV heads  ({shape.Source})";
}
