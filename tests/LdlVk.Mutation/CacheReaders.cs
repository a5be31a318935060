using System.Text;
using LdlVk.Hub;
using LdlVk.Scoring;
using LdlVk.Testing;
using LdlVk.Vulkan.Kernels;

namespace LdlVk.Mutation;

/// <summary>Readers of caches, which ignore what they do not understand, and of what a hub answers.</summary>
internal static class CacheReaders
{
    public static Reader Labels() => new("labels", [File.ReadAllBytes(Repository.Path("models", "ldl-mini", "labels.json")), "[\"a\",\"b\"]"u8.ToArray()], (folder, input) =>
    {
        folder.Write("labels.json", input);
        LdlVk.Scoring.Labels.Read(folder.Path, 22);
    })
    {
        IsJson = true,
    };

    public static Reader HubListing()
    {
        HubRepository repository = HubRepository.Parse("a/b", null, "http://127.0.0.1:1");
        byte[] listing = Encoding.UTF8.GetBytes("""
            {"sha":"0123abcd","siblings":[
              {"rfilename":"config.json","size":10,"blobId":"1111111111111111111111111111111111111111"},
              {"rfilename":"tokenizer.json","size":7,"blobId":"2222222222222222222222222222222222222222"},
              {"rfilename":"model.safetensors","size":9223372036854775000,"lfs":{"sha256":"3333333333333333333333333333333333333333333333333333333333333333","size":5}}]}
            """);
        return new Reader("hub-listing", [listing], (folder, input) =>
        {
            HubFiles files = HubFiles.Parse(repository, input);
            foreach (HubFile file in files.Select(repository, ["*", "*/*"], []))
            {
                string path = Path.GetFullPath(Path.Combine([folder.Path, .. file.Name.Split('/')]));
                if (!path.StartsWith(folder.Path + Path.DirectorySeparatorChar, StringComparison.Ordinal))
                    throw new InvalidOperationException($"{file.Name} leaves the folder.");
            }
        })
        {
            IsJson = true,
        };
    }

    public static Reader Receipt()
    {
        using TempFolder made = new();
        new PullReceipt("a/b", "0123abcd", "fp16", true, new HashSet<string> { "config.json", "x/y" }).Write(made.Path);
        return new Reader("pull-receipt", [File.ReadAllBytes(made[PullReceipt.Name])], (folder, input) =>
        {
            folder.Write(PullReceipt.Name, input);
            PullReceipt.Read(folder.Path);
        })
        {
            IsJson = true,
        };
    }

    public static Reader Tiles()
    {
        using TempFolder made = new();
        TileChoices choices = new(made["tiles.json"], "d", "k");
        choices[new TilingKey(TiledKernel.Matrix, WeightFormat.Fp16, true, 96, 64, 512)] = "a";
        choices[new TilingKey(TiledKernel.Tile, WeightFormat.Int8, false, 64, 96, 16)] = "b";
        choices.Save();
        return new Reader(
            "tiles", [File.ReadAllBytes(made["tiles.json"])],
            (folder, input) => _ = new TileChoices(folder.Write("tiles.json", input), "d", "k"))
        {
            IsJson = true, IsOurs = _ => false,
        };
    }

    public static Reader Speeds() => new(
        "speeds", ["AMD/1/Fp16\t1.5e12\t2.5e10\n"u8.ToArray(), "a\tb\tc\n\t\t\t\t\n"u8.ToArray()],
        (folder, input) =>
        {
            DeviceSpeeds speeds = new(folder.Write("speeds.tsv", input), (_, _) => null);
            speeds.Of(new DeviceInfo("vulkan:0", "AMD", DeviceKind.DiscreteGpu, "1", 1, 1, []), WeightFormat.Fp16);
        })
    {
        IsOurs = _ => false, Words = ["\t"u8.ToArray(), "\n"u8.ToArray(), "NaN"u8.ToArray(), "Infinity"u8.ToArray()],
    };
}
