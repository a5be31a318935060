using System.CommandLine;
using System.Diagnostics;
using LdlVk.Cli.Options;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>No command writes onto one of its inputs, nor two outputs into one file, under any name of them.</summary>
public sealed class InputsStayTests : IDisposable
{
    private const string Line = """{"id":"a","prompt":"Name a river.","response":"The Danube."}""";

    private readonly TempFolder _folder = new();
    private readonly string _data;

    public InputsStayTests() => _data = _folder.Write("data.jsonl", Line + "\n");

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string> Commands =>
    [
        "score --output", "score --resume --output", "score --shard 0/2 --output", "score --trace", "score --trace-events",
        "eval --output", "eval --report", "eval --trace-events", "rank --output", "tokenize --output",
        "fidelity --baseline weights=fp32 --candidate weights=int8 --report",
    ];

    [Theory]
    [MemberData(nameof(Commands))]
    public async Task An_output_that_is_the_input_is_refused_under_every_name(string flags)
    {
        List<string> names =
        [
            _data, Path.Combine(_folder.Path, "data.jsonl"), Path.Combine(_folder.Path, "..", Path.GetFileName(_folder.Path), "data.jsonl"),
            _data + "/", Path.GetRelativePath(Environment.CurrentDirectory, _data),
        ];
        if (!OperatingSystem.IsWindows())
        {
            File.CreateSymbolicLink(_folder["link"], "data.jsonl");
            File.CreateSymbolicLink(_folder["second"], "link");
            Directory.CreateSymbolicLink(_folder["folder"], ".");
            HardLink(_data, _folder["hard"]);
            names.AddRange([_folder["link"], _folder["second"], _folder["folder/data.jsonl"], _folder["hard"]]);
        }

        foreach (string name in names)
        {
            string[] words = flags.Split(' ');
            string[] command = [words[0], "--model", Cli.Mini, "--input", _data, .. words[1..], name];
            (await Cli.RunAsync(command)).Fails(2, words[^1], "--input", "the same file");
            Assert.Equal(Line + "\n", File.ReadAllText(_data));
        }
    }

    /// <summary>The input may be one of the files that a command writes beside its output.</summary>
    [Theory]
    [InlineData("x.partial", "")]
    [InlineData("x.partial", "--resume")]
    [InlineData("x.journal", "--resume")]
    [InlineData("x.run.json", "--resume")]
    [InlineData("x.run.json.tmp", "--resume")]
    [InlineData(".x.1d1f11e.tmp", "")]
    public async Task A_file_beside_the_output_is_no_input(string name, string flag)
    {
        string input = _folder.Write(name, Line);
        string[] flags = [.. flag.Split(' ', StringSplitOptions.RemoveEmptyEntries)];
        (await Cli.RunAsync(["score", "--model", Cli.Mini, "--input", input, "--output", _folder["x"], .. flags])).Fails(2, name, "the same file");
        Assert.Equal(Line, File.ReadAllText(input));
    }

    [Theory]
    [InlineData("--output", "--report")]
    [InlineData("--output", "--trace-events")]
    [InlineData("--report", "--trace-events")]
    public async Task Two_outputs_into_one_file_are_refused(string first, string second)
    {
        string pairs = _folder.Write("pairs.jsonl", """{"prompt":"Name a river.","chosen":"The Danube.","rejected":"No."}""");
        string[] eval = ["eval", "--model", Cli.Mini, "--device", "cpu", "--quiet", "--input", pairs];
        (await Cli.RunAsync([.. eval, first, _folder["both"], second, _folder["both"]])).Fails(2, first, second, "the same file");
        (await Cli.RunAsync([.. eval, first, _folder["both"], second, _folder["./both"]])).Fails(2, first, second, "the same file");
        if (!OperatingSystem.IsWindows())
        {
            File.CreateSymbolicLink(_folder["to"], "both");
            (await Cli.RunAsync([.. eval, first, _folder["both"], second, _folder["to"]])).Fails(2, first, second, "the same file");
        }

        Assert.False(File.Exists(_folder["both"]));
        Assert.Equal(0, (await Cli.RunAsync([.. eval, first, _folder["a"], second, _folder["b"]])).Code);
    }

    [Fact]
    public async Task Files_of_the_model_stay_what_they_are()
    {
        string model = Directory.CreateDirectory(_folder["model"]).FullName;
        foreach (string path in Directory.EnumerateFiles(Cli.Mini)) File.Copy(path, Path.Combine(model, Path.GetFileName(path)));
        foreach (string path in Directory.EnumerateFiles(model))
        {
            string name = Path.GetFileName(path);
            if (name.EndsWith(".jsonl", StringComparison.Ordinal)) continue;
            byte[] before = File.ReadAllBytes(path);
            string[] score = ["score", "--model", model, "--device", "cpu", "--quiet", "--input", _data];
            (await Cli.RunAsync([.. score, "--output", path])).Fails(2, "--output", name, "--model");
            (await Cli.RunAsync([.. score, "--trace-events", path])).Fails(2, "--trace-events", name, "--model");
            Assert.Equal(before, File.ReadAllBytes(path));
        }

        for (int run = 0; run < 2; run++)
            Assert.Equal(0, (await Cli.RunAsync("score", "--model", model, "--device", "cpu", "--quiet", "--input", _data,
                "--output", Path.Combine(model, "scores.jsonl"))).Code);
    }

    [Fact]
    public async Task A_merge_does_not_write_over_its_parts()
    {
        string part = _folder["part"];
        Assert.Equal(0, (await Cli.RunAsync("score", "--model", Cli.Mini, "--device", "cpu", "--input", _data, "--output", part, "--shard", "0/1")).Code);
        byte[] results = File.ReadAllBytes(part), record = File.ReadAllBytes(part + ".run.json");
        (await Cli.RunAsync("merge", part, "--output", part)).Fails(2, "PART", "the same file");
        (await Cli.RunAsync("merge", part, "--output", part + ".run.json")).Fails(2, "PART", "the same file");
        Assert.Equal(results, File.ReadAllBytes(part));
        Assert.Equal(record, File.ReadAllBytes(part + ".run.json"));
    }

    [Fact]
    public async Task Devices_pipes_and_descriptors_are_written_to_and_stay()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("They have these names only there.");
        string shell = $"""
            set -e
            score() {"{"} dotnet '{Path.Combine(AppContext.BaseDirectory, "LdlVk.Cli.dll")}' score --model '{Cli.Mini}' --device cpu --quiet "$@"; {"}"}
            score --input data.jsonl > want
            mkfifo pipe; cat pipe > got & score --input data.jsonl --output pipe; wait; test -p pipe; cmp want got
            score --input data.jsonl --output /dev/stdout > got; cmp want got
            echo before > got; score --input data.jsonl --output /dev/stdout >> got; (echo before; cat want) | cmp - got
            score --input data.jsonl --output /proc/self/fd/3 3> got; cmp want got
            score --input data.jsonl --output /dev/null --trace-events /dev/null
            score --input /dev/null --output /dev/null
            ! score --input data.jsonl --output /proc/self/fd/3 3<> data.jsonl 2> error; grep -q 'the same file' error
            ! score --input - --output data.jsonl < data.jsonl 2> error; grep -q 'standard input: they are the same file' error
            ! score --input data.jsonl >> data.jsonl 2> error; grep -q 'standard output would overwrite' error
            ! score --input data.jsonl --output /dev/null --resume 2> error; grep -q 'is a device' error
            ! score --input data.jsonl --output pipe --resume 2> error; grep -q 'is a device' error
            test -p pipe; test -c /dev/null; cmp data.jsonl copy
            """;
        _folder.Write("copy", Line + "\n");
        ProcessStartInfo start = new("bash", ["-c", shell.ReplaceLineEndings("\n")]) { WorkingDirectory = _folder.Path, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        string error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, error);
    }

    [Fact]
    public async Task A_link_as_the_output_of_a_resumable_run_stays_a_link()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Links need rights there.");
        Directory.CreateDirectory(_folder["far"]);
        File.CreateSymbolicLink(_folder["link"], "far/out");
        string[] score = ["score", "--model", Cli.Mini, "--device", "cpu", "--input", _data, "--output", _folder["link"], "--resume"];
        Assert.Equal(0, (await Cli.RunAsync(score)).Code);
        Assert.Equal("far/out", new FileInfo(_folder["link"]).LinkTarget);
        Assert.True(File.Exists(_folder["far/out.run.json"]));
        Assert.Contains("is complete", (await Cli.RunAsync(score)).Error, StringComparison.Ordinal);
        File.CreateSymbolicLink(_folder["other.partial"], "data.jsonl");
        (await Cli.RunAsync([.. score[..^2], _folder["other"], "--resume"])).Fails(2, "other.partial", "the same file");
        string safe = _folder.Write("safe", "safe");
        File.Delete(_folder["other.partial"]);
        File.CreateSymbolicLink(_folder["other.partial"], "safe");
        (await Cli.RunAsync([.. score[..^2], _folder["other"], "--resume"])).Fails(2, "other.partial", "it is a link");
        (await Cli.RunAsync([.. score[..^2], _folder["other"]])).Fails(2, "other.partial", "it is a link");
        Assert.Equal("safe", File.ReadAllText(safe));
    }

    [Fact]
    public async Task Two_runs_with_one_output_exclude_each_other_and_use_what_a_killed_one_left()
    {
        string left = _folder.Write(".out.1d1f11e.tmp", "of a killed run"), old = _folder.Write($".out.{Guid.NewGuid():N}.tmp", "of an old version");
        string[] score = ["score", "--model", Cli.Mini, "--device", "cpu", "--quiet", "--input", _data, "--output", _folder["out"]];
        using (new FileStream(left, FileMode.Open, FileAccess.ReadWrite, FileShare.None))
            (await Cli.RunAsync(score)).Fails(4, "being written by another run");
        Assert.Equal(0, (await Cli.RunAsync(score)).Code);
        Assert.False(File.Exists(left) || File.Exists(old));
    }

    [Fact]
    public async Task A_timeline_that_cannot_be_written_is_an_error_before_the_run()
    {
        string output = _folder["out"];
        (await Cli.RunAsync("score", "--model", Cli.Mini, "--device", "cpu", "--input", _data, "--output", output, "--trace-events", _folder["none/x"]))
            .Fails(2, "--trace-events", "there is no folder");
        Assert.Equal(["data.jsonl"], _folder.Names);
    }

    /// <summary>A new flag for a file must be checked too: it must be in the lists of <see cref="PathFlags"/>.</summary>
    [Fact]
    public void All_flags_and_arguments_that_name_files_are_known()
    {
        Output.Terminal terminal = new() { In = Stream.Null, Out = Stream.Null, Error = TextWriter.Null };
        foreach (Command command in CommandLine.CreateRoot(terminal).Subcommands)
        {
            IEnumerable<string> files = command.Options.Where(o => o.HelpName is { } name && (name.Contains("FILE", StringComparison.Ordinal)
                || name.Contains("DIR", StringComparison.Ordinal))).Select(o => o.Name);
            foreach (string name in files.Concat(command.Arguments.Select(a => a.Name)))
                Assert.True(PathFlags.All.Contains(name), $"{command.Name}: {name}");
        }
    }

    private static void HardLink(string file, string name)
    {
        using Process process = Process.Start("ln", [file, name]);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }
}
