namespace LdlVk.Cli.Commands;

/// <summary>A prompt of the demo and its answers, each with a short description; the first answer is the good one.</summary>
internal sealed record DemoPrompt(string Prompt, IReadOnlyList<(string Kind, string Response)> Answers)
{
    /// <summary>Definitions in the style of the training data of the demo's model.</summary>
    public static IReadOnlyList<DemoPrompt> All { get; } =
    [
        new("What does the word \"lighthouse\" mean?",
        [
            ("sound",
                "The noun \"lighthouse\" means: a tower with a bright light at the top that warns ships of rocks "
                + "and shows them the way into a harbour."),
            ("words shuffled", "Tower noun the of: top warns rocks a with at bright \"lighthouse\" that means ships a light the."),
            ("typing errors",
                "The noun \"ligthhouse\" maens: a twoer wiht a brihgt ligth at teh top taht wanrs shpis of rcoks "
                + "and shwos tehm the way itno a harbuor."),
            ("cut off", "The noun \"lighthouse\" means: a tower with a bright li"),
            ("echo", "What does the word \"lighthouse\" mean? What does the word \"lighthouse\" mean?"),
            ("refusal", "I cannot help with that."),
        ]),
        new("Define the word \"compass\".",
        [
            ("sound", "compass: an instrument with a magnetic needle that always points north, used to find the way."),
            ("false", "compass: an instrument for measuring the pressure of the air."),
            ("rude",
                "compass: an instrument with a magnetic needle that always points north, used to find the way. "
                + "Find it out yourself, you fool."),
            ("capitals", "COMPASS: AN INSTRUMENT WITH A MAGNETIC NEEDLE THAT ALWAYS POINTS NORTH, USED TO FIND THE WAY."),
            ("not English", "compass: ein Gerät mit einer magnetischen Nadel, die immer nach Norden zeigt."),
        ]),
    ];
}
