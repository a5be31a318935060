using System.Text;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.AI.Evaluation;

namespace LdlVk.Extensions.AI;

/// <summary>Reads the messages of a chat. What would change the text, and has no place in it, is an error.</summary>
internal static class ChatConversation
{
    /// <summary>Returns the conversation of some messages and a response.</summary>
    /// <param name="messages">The messages before the response.</param>
    /// <param name="response">The messages of the response; the last one with content is the assistant's.</param>
    /// <param name="notes">Takes what the user should know.</param>
    /// <exception cref="RewardFailedException">It cannot be scored as it is.</exception>
    public static Conversation Of(ChatMessage[] messages, ChatMessage[] response, List<EvaluationDiagnostic> notes)
    {
        if (response.Length == 0)
            throw new RewardFailedException("The response has no messages. Give a ChatResponse with the assistant's message.");
        bool leavesOut = false;
        List<Message> read = [];
        for (int i = 0; i < messages.Length; i++) read.Add(One(messages[i], $"messages[{i}]", ref leavesOut));
        for (int i = 0; i < response.Length; i++) read.Add(One(response[i], $"response.Messages[{i}]", ref leavesOut));
        if (response[^1].Role != ChatRole.Assistant)
            throw new RewardFailedException(
                $"The response ends with a message of the role {response[^1].Role.Value}. It must end with the assistant's message.");
        if (leavesOut)
            notes.Add(EvaluationDiagnostic.Informational(
                "Reasoning was left out: the model scored the messages' texts alone, as ChatMessage.Text has them."));
        return new Conversation(read);
    }

    /// <summary>Reads a message. Its texts follow each other without separators, as in <see cref="ChatMessage.Text"/>.</summary>
    private static Message One(ChatMessage message, string at, ref bool leavesOut)
    {
        StringBuilder text = new();
        for (int i = 0; i < message.Contents.Count; i++)
        {
            switch (message.Contents[i])
            {
                case TextContent content:
                    text.Append(content.Text);
                    break;
                case TextReasoningContent:
                    leavesOut = true;
                    break;
                case UsageContent:
                    break;
                case ErrorContent error:
                    throw new RewardFailedException($"{at}.Contents[{i}] is an error of the chat model, and no text: {error.Message}");
                case { } other:
                    throw new RewardFailedException($"{at}.Contents[{i}] is a {other.GetType().Name}, and only text can be scored.");
            }
        }

        return new Message(message.Role.Value, text.ToString());
    }
}
