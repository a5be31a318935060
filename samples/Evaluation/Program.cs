using LdlVk;
using LdlVk.Extensions.AI;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.AI.Evaluation;

using RewardModel model = await RewardModel.LoadAsync("models/ldl-mini");
Console.WriteLine(model.Score(new Conversation("Define \"sea\".", "A large body of salt water.")).Score);

RewardEvaluator evaluator = new(model, new RewardEvaluatorOptions { Threshold = 0 });
EvaluationResult result = await evaluator.EvaluateAsync(
    new ChatMessage(ChatRole.User, "Define \"sea\"."), new ChatMessage(ChatRole.Assistant, "A larg boddy fo slat watre."));
foreach (NumericMetric metric in result.Metrics.Values.Cast<NumericMetric>())
    Console.WriteLine($"{metric.Name,-28} {metric.Value,7:F3} {metric.Interpretation!.Rating}");
