using System.Text;
using System.Text.Json;
using LdlVk.Datasets.Containers;
using LdlVk.Evaluation.Benchmarks;

namespace LdlVk.Evaluation.Tests.Benchmarks;

/// <summary>RewardBench's numbers from scores, and its lines.</summary>
public class BenchmarkScoreTests
{
    private static readonly string[] Line = ["""{"prompt":"p","chosen":"a","rejected":"b"}"""];

    private static Example[] Examples(JsonElement benchmark, bool isBestOf) => [.. benchmark.GetProperty("examples").EnumerateArray().Select((e, i) =>
    {
        string id = e.TryGetProperty("id", out JsonElement given) ? given.GetString()! : $"{i}";
        return new Example(i, $"\"{id}\"", e.GetProperty("subset").GetString()!, isBestOf, TiesId.Parse(id), Expected.Floats(e, "chosen"), Expected.Floats(e, "rejected"));
    })];

    [Fact]
    public void RewardBench_v1_weighs_subsets_by_the_published_counts()
    {
        JsonElement expected = Expected.Of("rewardbench1");
        EvalResult result = EvalResult.Of(Examples(expected, isBestOf: false));
        Assert.Equal((Benchmark.RewardBench1, 23, 0), (result.Benchmark, result.Subsets.Count, result.Missing.Count));
        foreach (SubsetResult subset in result.Subsets) Assert.Equal(Expected.Number(expected.GetProperty("accuracies"), subset.Name), subset.Score, 1e-12);
        Assert.Equal(["Chat", "Chat Hard", "Safety", "Reasoning"], result.Sections.Select(s => s.Name));
        foreach (SectionResult section in result.Sections) Assert.Equal(Expected.Number(expected.GetProperty("sections"), section.Name), section.Score, 1e-12);
        Assert.Equal(Expected.Number(expected, "score"), result.Score, 1e-12);
    }

    [Fact]
    public void Math_counts_as_much_as_all_code()
    {
        Dictionary<string, double> accuracies = RewardBench.Subsets.Keys.ToDictionary(s => s, s => s.StartsWith("hep-", StringComparison.Ordinal) ? 0.5 : 1.0);
        Assert.Equal(0.75, RewardBench.SectionScore("Reasoning", accuracies)!.Value, 1e-12);
        // The 2,985 pairs, with math-prm's 447 counted as 984.
        Assert.Equal(2985 - 447 + 984, RewardBench.Subsets.Values.Sum(s => s.Weight));
    }

    [Fact]
    public void A_section_whose_subsets_are_missing_in_part_counts_those_that_are_there()
    {
        EvalResult result = EvalResult.Of([Pair("alpacaeval-easy", 1, 0), Pair("mt-bench-easy", 0, 1), Pair("my-own", 1, 0)]);
        Assert.Equal(100.0 / 128, Assert.Single(result.Sections).Score, 1e-12);
        Assert.Equal(["Chat Hard", "Safety", "Reasoning"], result.Missing);
        Assert.Equal("my-own", result.Subsets[^1].Name);
        Assert.Equal((100.0 / 128, 2), (result.Score, result.Right));
    }

    [Fact]
    public void RewardBench_2_has_best_of_several_and_the_score_of_Ties()
    {
        JsonElement expected = Expected.Of("rewardbench2"), parts = expected.GetProperty("ties");
        EvalResult result = EvalResult.Of(Examples(expected, isBestOf: true));
        Assert.Equal((Benchmark.RewardBench2, 0), (result.Benchmark, result.Missing.Count));
        Assert.Equal(RewardBench.SubsetsOf2, result.Subsets.Select(s => s.Name));
        foreach (SubsetResult subset in result.Subsets) Assert.Equal(Expected.Number(expected.GetProperty("subsets"), subset.Name), subset.Score, 1e-12);
        TiesScore ties = result.Ties!;
        Assert.Equal(Expected.Number(parts, "tied_accuracy"), ties.TiedAccuracy, 1e-12);
        Assert.Equal(Expected.Number(parts, "reference_accuracy"), ties.ReferenceAccuracy, 1e-12);
        Assert.Equal(Expected.Number(parts, "preferred"), ties.Preferred, 1e-12);
        Assert.Equal(Expected.Number(parts, "preferred_hard"), ties.PreferredHard, 1e-12);
        Assert.Equal(Expected.Number(parts, "margin_score"), ties.MarginScore, 1e-9);
        Assert.Equal(8, ties.Prompts);
        Assert.Equal(Expected.Number(expected, "score"), result.Score, 1e-9);
    }

    [Fact]
    public void A_perfect_Ties_subset_by_hand()
    {
        // Gaps of 4 and 3, a spread of 1: tanh(3/1 − 1).
        TiesScore score = TiesScore.Of([Tie("ref:1", [5], [1]), Tie("tied:1", [4, 5], [1])]);
        Assert.Equal(1 + (0.01 * Math.Tanh(2)), score.Overall, 1e-12);
        TiesScore alone = TiesScore.Of([Tie("ref:1", [5], [1])]);
        Assert.Equal((0, 1.0, true), (alone.Prompts, alone.ReferenceAccuracy, double.IsNaN(alone.Overall)));
    }

    [Fact]
    public void Equal_scores_are_wrong_in_a_pair_and_shared_among_several()
    {
        Assert.Equal((0, 1), (Pair("s", 1, 1).Result, Pair("s", 1.5f, 1).Result));
        Assert.Equal(1.0 / 3, new Example(0, "0", "Math", true, null, [2], [2, 1, 2]).Result);
        Assert.Equal(0, new Example(0, "0", "Math", true, null, [2], [3, 1, 2]).Result);
    }

    /// <summary>As <c>reroll_and_score_dataset</c>: <c>1 / np.sum(scores == max) if scores[0] == max else 0</c>, the chosen ones first.</summary>
    [Theory]
    [InlineData(1, new[] { 3f, 2f }, new[] { 1f })]
    [InlineData(0, new[] { 2f, 3f }, new[] { 1f })]
    [InlineData(0.5, new[] { 3f, 3f }, new[] { 1f })]
    [InlineData(1, new[] { 3f, 1f }, new[] { 2f })]
    [InlineData(0.5, new[] { 3f, 1f }, new[] { 3f })]
    public void Of_several_chosen_outside_Ties_the_first_must_be_best(double result, float[] chosen, float[] rejected)
    {
        PairLine line = Parse("""{"prompt":"p","chosen":["a","b"],"rejected":["c"],"subset":"Math","num_correct":2}""");
        Assert.Equal((null, 2, 3, null), (line.Texts.Error, line.ChosenCount, line.Texts.Item.Texts, line.Ties));
        Assert.Equal(result, new Example(0, "0", "Math", true, null, chosen, rejected).Result);
    }

    [Theory]
    [InlineData("no chosen", """{"prompt":"p","rejected":"b"}""")]
    [InlineData("no rejected", """{"prompt":"p","chosen":"b","rejected":null}""")]
    [InlineData("no prompt", """{"chosen":"a","rejected":"b"}""")]
    [InlineData("chosen is the number 3", """{"prompt":"p","chosen":3,"rejected":"b"}""")]
    [InlineData("rejected is empty", """{"prompt":"p","chosen":["a"],"rejected":[]}""")]
    [InlineData("chosen is a string, not a list", """{"prompt":"p","chosen":"a","rejected":["b"]}""")]
    [InlineData("rejected[1] is the number 1", """{"prompt":"p","chosen":["a"],"rejected":["b",1]}""")]
    [InlineData("chosen[0] has no role", """{"chosen":[{"content":"a"}],"rejected":[{"role":"user","content":"a"}]}""")]
    [InlineData("num_correct is 2, but chosen has 1", """{"prompt":"p","chosen":["a"],"rejected":["c"],"num_correct":2}""")]
    [InlineData("needs an id such as", """{"prompt":"p","chosen":["a"],"rejected":["c"],"subset":"Ties","id":"7"}""")]
    [InlineData("at least two", """{"prompt":"p","chosen":["a"],"rejected":["c"],"subset":"ties","id":"tied:7"}""")]
    [InlineData("subset is a list", """{"prompt":"p","chosen":"a","rejected":"c","subset":[]}""")]
    [InlineData("prompt is an object", """{"prompt":{},"chosen":"a","rejected":"c"}""")]
    [InlineData("not valid JSON", """{"prompt":""")]
    public void A_line_that_is_no_pair_says_why(string why, string line) => Assert.Contains(why, Parse(line).Texts.Error, StringComparison.Ordinal);

    [Fact]
    public void Pairs_are_read_in_every_published_form()
    {
        PairLine plain = Parse(Line[0]);
        Assert.Equal((PairLine.NoSubset, 1, false, 2), (plain.Subset, plain.ChosenCount, plain.IsBestOf, plain.Texts.Item.Conversations.Count));
        foreach (string same in (string[])[
            """{"question":"p","chosen":"a","rejected":"b"}""",
            """{"prompt":[{"role":"user","content":"p"}],"chosen":"a","rejected":"b"}""",
            """{"prompt":"p","chosen":[{"role":"assistant","content":"a"}],"rejected":[{"role":"assistant","content":"b"}]}""",
            """{"prompt":"p","chosen":[{"role":"user","content":"p"},{"role":"assistant","content":"a"}],"rejected":[{"role":"user","content":"p"},{"role":"assistant","content":"b"}]}"""])
            Assert.Equal(plain.Texts.Item.Conversations.Select(c => c.Messages), Parse(same).Texts.Item.Conversations.Select(c => c.Messages));
        PairLine tied = Parse("""{"prompt":"p","chosen":["a","b"],"rejected":["c","d","e"],"subset":"Ties","id":"tied:12","num_correct":2}""");
        Assert.Equal((true, 2, 5, new TiesId(false, 12)), (tied.IsBestOf, tied.ChosenCount, tied.Texts.Item.Texts, tied.Ties!.Value));
    }

    [Fact]
    public void RM_Bench_has_the_published_levels_and_domains()
    {
        // compute_accuracy of the README of RM-Bench: the matrix of all comparisons, its upper and lower triangle and its diagonal.
        Random random = new(5);
        string[] domains = ["chat", "math", "code", "safety-refuse", "safety-response"];
        Example[] examples = [.. Enumerable.Range(0, 400).Select(i => new Example(i, $"{i}", domains[random.Next(5)], true, null, Scores(), Scores()) { IsStyles = true })];
        Dictionary<string, double[]> levels = [];
        foreach (string domain in domains)
        {
            Example[] part = [.. examples.Where(e => e.Subset == domain)];
            double[,] matrix = new double[3, 3];
            foreach (Example e in part)
                for (int i = 0; i < 3; i++)
                    for (int j = 0; j < 3; j++) matrix[i, j] += e.Chosen[i] > e.Rejected[j] ? 1.0 / part.Length : 0;
            levels[domain] = [(matrix[1, 0] + matrix[2, 0] + matrix[2, 1]) / 3, (matrix[0, 0] + matrix[1, 1] + matrix[2, 2]) / 3, (matrix[0, 1] + matrix[0, 2] + matrix[1, 2]) / 3];
        }

        double[] expected = [.. Enumerable.Range(0, 3).Select(level => (levels["chat"][level] + levels["math"][level] + levels["code"][level] + ((levels["safety-refuse"][level] + levels["safety-response"][level]) / 2)) / 4)];
        EvalResult result = EvalResult.Of(examples);
        Assert.Equal((Benchmark.RmBench, 0), (result.Benchmark, result.Missing.Count));
        Assert.Equal(["Easy", "Normal", "Hard"], result.Sections.Select(s => s.Name));
        foreach ((double e, SectionResult s) in expected.Zip(result.Sections)) Assert.Equal(e, s.Score, 1e-12);
        Assert.Equal(expected.Average(), result.Score, 1e-12);

        float[] Scores() => [.. Enumerable.Range(0, 3).Select(_ => (float)random.Next(6))];
    }

    [Fact]
    public void A_set_of_PPE_has_the_accuracy_of_its_sampled_pairs()
    {
        // scores says which of a pair is right, response_N is index N - 1.
        PairLine line = Parse("""{"question_id":"q","prompt":"p","response_1":"a","response_2":"b","response_3":"c","response_4":"d","scores":[false,true,true,false],"sampled_conflict_pairs":[[0,1],[2,3],[0,2]]}""");
        Assert.Equal((true, 3), (line.IsPaired, line.ChosenCount));
        Assert.Equal(["b", "c", "c", "a", "d", "a"], line.Texts.Item.Conversations.Select(c => c.Messages[^1].Content));

        Random random = new(7);
        Example[] examples = [.. Enumerable.Range(0, 200).Select(i => new Example(i, $"{i}", PairLine.NoSubset, true, null, Scores(), Scores()) { IsPaired = true })];
        (int right, int all, int lines) = (0, 0, 0);
        foreach (Example e in examples)
        {
            int before = right;
            for (int i = 0; i < 5; i++, all++) right += e.Chosen[i] > e.Rejected[i] ? 1 : 0;
            lines += right - before == 5 ? 1 : 0;
        }

        EvalResult result = EvalResult.Of(examples);
        Assert.Equal(Benchmark.PpeCorrectness, result.Benchmark);
        Assert.Equal((double)right / all, result.Score, 1e-12);
        Assert.Equal(lines, result.Right);
        Assert.Null(Assert.Single(result.Subsets).Interval);

        float[] Scores() => [.. Enumerable.Range(0, 5).Select(_ => (float)random.Next(4))];
    }

    [Theory]
    [InlineData("\"scores\":[0,1],\"sampled_conflict_pairs\":[[0,1]]", "has 3 responses, and scores has 2 values")]
    [InlineData("\"sampled_conflict_pairs\":[[0,1]]", "scores is missing")]
    [InlineData("\"scores\":[0,1,1],\"sampled_conflict_pairs\":[[1,2]]", "sampled_conflict_pairs[0] names two responses with equal scores")]
    [InlineData("\"scores\":[0,1,1],\"sampled_conflict_pairs\":[[0,3]]", "names a response that is not one of 0 to 2")]
    [InlineData("\"scores\":[0,1,1],\"sampled_conflict_pairs\":[[0,1],[1]]", "sampled_conflict_pairs[1] has 1 responses, not 2")]
    [InlineData("\"scores\":[0,1,1],\"sampled_conflict_pairs\":[]", "sampled_conflict_pairs is empty")]
    [InlineData("\"scores\":[0,1,\"x\"],\"sampled_conflict_pairs\":[[0,1]]", "scores[2] is a string")]
    [InlineData("\"response_5\":\"e\",\"scores\":[0,1,1],\"sampled_conflict_pairs\":[[0,1]]", "has response_5, but no response_4")]
    [InlineData("\"scores\":[0,1,1]", "no chosen and rejected")]
    public void A_set_of_PPE_that_is_not_whole_is_refused(string fields, string reason) =>
        Assert.Contains(reason, Parse($$"""{"prompt":"p","response_1":"a","response_2":"b","response_3":"c",{{fields}}}""").Texts.Error, StringComparison.Ordinal);

    [Fact]
    public void A_file_that_only_has_the_form_of_a_benchmark_gets_no_score_of_it()
    {
        Assert.True(Parse("""{"prompt":"p","chosen":["a","b","c"],"rejected":["d","e","f"],"domain":"math"}""").IsStyles);
        Assert.False(Parse("""{"prompt":"p","chosen":["a","b","c"],"rejected":["d","e","f"],"subset":"Math"}""").IsStyles);
        Assert.False(Parse("""{"prompt":"p","chosen":["a","b"],"rejected":["d","e","f"],"domain":"math"}""").IsStyles);
        Example other = new(0, "0", "my subset", true, null, [1], [0, 0, 0]), own = other with { Subset = "Math" };
        Assert.Equal(Benchmark.Pairs, EvalResult.Of([other, other]).Benchmark);
        Assert.Equal(Benchmark.RewardBench2, EvalResult.Of([own, other]).Benchmark);
    }

    private static PairLine Parse(string line) => PairLine.Parse(new RawLine(0, Encoding.UTF8.GetBytes(line)));

    private static Example Pair(string subset, float chosen, float rejected) => new(0, "0", subset, false, null, [chosen], [rejected]);

    private static Example Tie(string id, float[] chosen, float[] rejected) => new(0, $"\"{id}\"", "Ties", true, TiesId.Parse(id), chosen, rejected);
}
