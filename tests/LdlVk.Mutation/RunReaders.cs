using System.Text;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;
using LdlVk.Datasets.Resuming;
using LdlVk.Testing;

namespace LdlVk.Mutation;

/// <summary>Readers of what a run leaves: journals and records, which the next run trusts only as far as their checksums go.</summary>
internal static class RunReaders
{
    private static readonly RunIdentity Settings = new("a model, fp16");

    private static byte[] _results = [];

    public static Reader Journal()
    {
        byte[] journal = Unfinished();
        return new Reader("journal", [journal, .. Enumerable.Range(1, 3).Select(i => journal[..(journal.Length * i / 4)])], (folder, input) =>
        {
            string path = folder["out"];
            File.WriteAllBytes(path + ".partial", _results);
            File.WriteAllBytes(path + ".journal", input);
            using ResumableFile file = ResumableFile.Open(path, Settings, Shard.Whole, resume: true, (_, _) => { });
            // What is kept is a beginning of the results, with as many lines as it says.
            byte[] kept = ReadShared(path + ".partial");
            if (!_results.AsSpan().StartsWith(kept) || kept.AsSpan().Count((byte)'\n') != file.Lines || file.Failed > file.Lines)
                throw new InvalidOperationException($"{kept.Length} bytes are kept as {file.Lines} lines.");
        })
        {
            IsJson = true,
        };
    }

    public static Reader Record()
    {
        byte[] record = Parts(1)[0].Record;
        return new Reader("run-record", [record], (folder, input) =>
        {
            File.WriteAllBytes(folder["out" + RunRecord.Suffix], input);
            RunRecord.Read(folder["out"]);
        })
        {
            IsJson = true,
        };
    }

    /// <summary>The record of one of two parts is mutated, and has the checksum that it should have: a record that was made up.</summary>
    public static Reader Parts()
    {
        (byte[] Results, byte[] Record)[] parts = Parts(2);
        byte[] open = Sealed.Open(parts[0].Record)!.Value.Json;
        return new Reader("parts", [open], (folder, input) =>
        {
            for (int i = 0; i < 2; i++) File.WriteAllBytes(folder[$"part-{i}"], parts[i].Results);
            File.WriteAllBytes(folder["part-0" + RunRecord.Suffix], input.Length > 2 ? Sealed.Seal(input).Json : input);
            File.WriteAllBytes(folder["part-1" + RunRecord.Suffix], parts[1].Record);
            using MemoryStream merged = new();
            PartialResults.Open([folder["part-0"], folder["part-1"]]).Merge(OutputFile.Of(merged));
        })
        {
            IsJson = true,
        };
    }

    private static byte[] ReadShared(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        byte[] bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return bytes;
    }

    private static byte[] Unfinished()
    {
        using TempFolder folder = new();
        using (ResumableFile file = ResumableFile.Open(folder["out"], Settings, Shard.Whole, resume: false, (_, _) => { }))
        {
            for (int i = 0; i < 40; i++)
            {
                Write(file, new LineDigest(), i);
                if (i % 10 == 9) file.Keep();
            }
        }

        _results = File.ReadAllBytes(folder["out.partial"]);
        return File.ReadAllBytes(folder["out.journal"]);
    }

    private static (byte[] Results, byte[] Record)[] Parts(int count)
    {
        using TempFolder folder = new();
        (byte[], byte[])[] parts = new (byte[], byte[])[count];
        for (int part = 0; part < count; part++)
        {
            string path = folder[$"part-{part}"];
            Shard shard = new(part, count);
            using (ResumableFile file = ResumableFile.Open(path, Settings, shard, resume: false, (_, _) => { }))
            {
                LineDigest digest = new();
                for (int i = 0; i < 600; i++)
                {
                    digest.Add(new Datasets.Containers.RawLine(i, Encoding.UTF8.GetBytes($"{{\"i\":{i}}}")));
                    if (shard.Has(i)) Write(file, digest, i);
                }

                file.Complete(digest, shard);
            }

            parts[part] = (File.ReadAllBytes(path), File.ReadAllBytes(path + RunRecord.Suffix));
        }

        return parts;
    }

    private static void Write(ResumableFile file, LineDigest digest, int i)
    {
        InputLine line = InputLine.Of($"{i}", Item.None);
        line.Digest = digest.Hold();
        new ResultWriter(file.Stream).WriteError(line.Id, "x");
        file.Wrote(new ScoredLine(line, [], i % 3 == 0 ? "x" : null));
    }
}
