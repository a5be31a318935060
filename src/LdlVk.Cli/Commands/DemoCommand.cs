using System.CommandLine;
using System.Globalization;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk demo</c>: scores sample answers with the included model.</summary>
internal static class DemoCommand
{
    private const string RealModel = "ShikaiChen/LDL-Reward-Gemma-2-27B-v0.1";

    public static Command Create(Terminal terminal)
    {
        Option<string> device = DeviceFlags.CreateDevice();
        Option<bool> quiet = ModelFlags.CreateQuiet();
        Command command = new(
            "demo", "Score good and bad answers with the small included model. Needs no download and no GPU.")
        {
            device, quiet,
        };
        command.SetAction(async (call, cancellationToken) =>
        {
            ScoringRun run = new(terminal, call.GetValue(quiet));
            using DemoModel files = new();
            using RewardModel model = await run.LoadAsync(
                files.Folder, new RewardModelOptions { Device = call.GetValue(device)! }, cancellationToken).ConfigureAwait(false);
            List<ScoredLine> scored = [];
            IEnumerable<InputLine> lines = DemoPrompt.All.Select(
                p => InputLine.Of("0", Item.Of(p.Prompt, [.. p.Answers.Select(a => a.Response)])));
            await run.ScoreAsync(model, lines, scored.Add, cancellationToken).ConfigureAwait(false);
            using Screen screen = new(terminal);
            screen.Line("[bold]ldl-mini[/], a reward model of 3.5 million parameters,");
            // Device names may be longer than a line.
            screen.Line($"on {Screen.Safe(Readable.OneLine(Readable.Devices(model.Devices), 77))}");
            for (int i = 0; i < scored.Count; i++) ShowRanking(screen, DemoPrompt.All[i], scored[i]);
            ShowReward(screen, DemoPrompt.All[0], scored[0], model.AttributeNames);
            ShowWhatItIs(screen);
            return ExitCode.Success;
        });
        return command;
    }

    private static void ShowRanking(Screen screen, DemoPrompt prompt, ScoredLine scored)
    {
        Reward sound = scored.Rewards[0];
        screen.Line();
        screen.Line($"[bold]{Screen.Safe(prompt.Prompt)}[/]");
        screen.Line("[dim]     score  P(sound > it)  answer[/]");
        int place = 1;
        foreach ((int i, Reward reward) in scored.Rewards.Index().OrderByDescending(r => r.Item.Score))
        {
            (string kind, string response) = prompt.Answers[i];
            string better = i == 0 ? "" : CompareCommand.Probability(new Comparison(sound, reward).ProbabilityAIsBetter);
            string row =
                $"{place++,2}. {Readable.Score(reward.Score),6}  {better,-13}  {kind,-14} {Screen.Safe(Readable.OneLine(response, 35))}";
            screen.Line(i == 0 ? $"[green]{row}[/]" : row);
        }
    }

    private static void ShowReward(Screen screen, DemoPrompt prompt, ScoredLine scored, IReadOnlyList<string> names)
    {
        Reward sound = scored.Rewards[0], worse = scored.Rewards[^1];
        string other = prompt.Answers[^1].Kind;
        screen.Line();
        screen.Line($"[bold]How the scores of the sound answer and the {other} to the first question arise[/]");
        screen.Line("Each attribute has a distribution over bins from 0 (bad) to 1 (good); these are");
        screen.Line("their means. Weighted by a gate that looks at the text (here the sound answer's");
        screen.Line("weights), the distributions add up to the final one.");
        screen.Line();
        screen.Line($"[dim]{"attribute",-21} weight   {"sound",-24}  {other}[/]");
        for (int a = 0; a < sound.Attributes; a++)
        {
            screen.Line($"{Screen.Safe(Readable.OneLine(names[a], 21)),-21} {Signed(sound.Weights[a])}   "
                + $"[green]{Share(sound.AttributeScore(a))} {Screen.Bar(sound.AttributeScore(a), 18)}[/]   "
                + $"[yellow]{Share(worse.AttributeScore(a))} {Screen.Bar(worse.AttributeScore(a), 18).TrimEnd()}[/]");
        }

        screen.Line();
        screen.Line("Final distribution (hollow: negative mass); the score is the sum of bin × mass:");
        double largest = sound.Distribution.Concat(worse.Distribution).Max(Math.Abs);
        for (int b = 0; b < sound.Bins; b++)
        {
            screen.Line(
                $"  bin {Share((float)b / (sound.Bins - 1))}             [green]{Mass(sound.Distribution[b], largest)}[/]   "
                + $"[yellow]{Mass(worse.Distribution[b], largest).TrimEnd()}[/]");
        }

        screen.Line($"  [bold]score[/]               {Readable.Score(sound.Score),6}                     {Readable.Score(worse.Score),6}");
    }

    /// <summary>Formats a mass. It may be negative, because weights may be negative; its bar is hollow then.</summary>
    private static string Mass(float mass, double largest)
    {
        string bar = Screen.Bar(Math.Abs(mass) / largest, 15);
        return $"{Signed(mass)} {(mass < 0 ? new string('░', bar.TrimEnd().Length).PadRight(15) : bar)}  ";
    }

    private static void ShowWhatItIs(Screen screen) => screen.Line($"""

        [bold]What this model is, and is not[/]
        ldl-mini has the layout of LDL-Reward-Gemma-2-27B, but none of its weights. It
        was trained to detect superficial damage: typing errors, cut-off ends, echoes,
        refusals. It cannot judge truth or reasoning (see the false answer above), and
        its scores of off-topic answers are guesses. It shows that this machine
        computes rewards; it is not meant to judge real answers.

        [bold]Next[/]
          ldlvk pull {RealModel} DIR     (54.7 GB)
          ldlvk inspect DIR                 its memory, and what fits on your devices
          ldlvk score --model DIR --prompt TEXT --response TEXT
          ldlvk rank  --model DIR --input FILE.jsonl
        """);

    private static string Share(float value) => value.ToString("F2", CultureInfo.InvariantCulture);

    private static string Signed(float value) => value.ToString("+0.00;-0.00", CultureInfo.InvariantCulture).PadLeft(6);
}
