using LdlVk;

using RewardModel model = await RewardModel.LoadAsync("models/ldl-mini");
Console.WriteLine($"{model.Devices[0].Name}, {model.Weights} weights");

// One conversation.
Reward reward = model.Score(new Conversation("Define \"sea\".", "A large body of salt water."));
Console.WriteLine($"score {reward.Score}, {reward.Tokens} tokens");
for (int a = 0; a < reward.Attributes; a++)
    Console.WriteLine($"{model.AttributeNames[a]}: {reward.AttributeScore(a):F2}, weight {reward.Weights[a]:F2}");

// Two responses, and many.
Comparison pair = model.Compare("Define \"sea\".", "A large body of salt water.", "I cannot help.");
Console.WriteLine($"P(A > B) = {pair.ProbabilityAIsBetter:F4}");
foreach (RankedResponse r in model.Rank("Define \"sea\".", ["Water.", "A large body of salt water.", "No."]))
    Console.WriteLine($"{r.Reward.Score:F2}  {r.Response}");

// A stream of any length, in input order; a text that cannot be scored says why and stops nothing.
string[] answers = ["Salt water.", "A mountain.", "A large body of salt water."];
IEnumerable<Conversation> many = answers.Select(answer => new Conversation("Define \"sea\".", answer));
await foreach (ScoreResult result in model.ScoreManyAsync(many))
    Console.WriteLine(result.Reward is { } scored ? $"{result.Index}: {scored.Score}" : $"{result.Index}: {result.Error}");
