using System.Text;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Checkpoints;

public sealed class ModelFingerprintTests
{
    [Fact]
    public void A_copy_has_the_same_and_any_changed_file_another()
    {
        using TempFolder first = new(), second = new();
        foreach (TempFolder folder in (TempFolder[])[first, second])
            foreach (string name in (string[])["config.json", "tokenizer.json", "model.safetensors", "head.pt"]) folder.Write(name, $"of {name}");
        Assert.Equal(Of(first), Of(second));
        foreach (string name in (string[])["config.json", "tokenizer.json", "model.safetensors", "head.pt"])
        {
            byte[] bytes = File.ReadAllBytes(second[name]);
            bytes[^1] ^= 1;
            File.WriteAllBytes(second[name], bytes);
            Assert.NotEqual(Of(first), Of(second));
            bytes[^1] ^= 1;
            File.WriteAllBytes(second[name], bytes);
        }

        // Results in the folder are not the model.
        second.Write("out.run.json", "{}");
        second.Write("README.md", "about");
        Assert.Equal(Of(first), Of(second));
        second.Write("chat_template.jinja", "{{ messages }}");
        Assert.NotEqual(Of(first), Of(second));
    }

    /// <summary>A file with a hole: it takes no room on the disk.</summary>
    [Fact]
    public void A_large_file_is_sampled_in_its_header_in_every_stride_and_at_its_end()
    {
        using TempFolder folder = new();
        string path = folder["model.safetensors"];
        long length = ModelFingerprint.WholeBytes + (3L * ModelFingerprint.StrideBytes) + 5;
        using (FileStream file = File.Create(path))
        {
            file.Write(BitConverter.GetBytes(200_000L));
            file.SetLength(length);
        }

        string sound = Of(folder);
        foreach (long changed in (long[])[0, 150_000, 5L * ModelFingerprint.StrideBytes, length - 1])
        {
            Flip(changed);
            Assert.NotEqual(sound, Of(folder));
            Flip(changed);
        }

        Assert.Equal(sound, Of(folder));
        using (FileStream file = File.OpenWrite(path)) file.SetLength(length + 1);
        Assert.NotEqual(sound, Of(folder));

        void Flip(long at)
        {
            using FileStream file = File.Open(path, FileMode.Open);
            file.Position = at;
            int old = file.ReadByte();
            file.Position = at;
            file.WriteByte((byte)(old ^ 1));
        }
    }

    /// <summary>Two reward models on one backbone that was not trained differ in their head alone, which lies between two blocks.</summary>
    [Theory]
    [InlineData("score.weight", 9216, 700)]
    [InlineData("layers.0.mlp.up_proj.weight", 9 << 20, 100)]
    public void A_large_file_is_hashed_in_all_small_tensors_and_at_the_beginning_of_each_other(string name, int bytes, int changed)
    {
        using TempFolder folder = new();
        long before = (5L * ModelFingerprint.StrideBytes) + (1 << 20), all = before + bytes + (9 << 20);
        byte[] header = Encoding.UTF8.GetBytes(
            $"{{\"a\":{{\"dtype\":\"F32\",\"shape\":[{before / 4}],\"data_offsets\":[0,{before}]}},"
            + $"\"{name}\":{{\"dtype\":\"F32\",\"shape\":[{bytes / 4}],\"data_offsets\":[{before},{before + bytes}]}},"
            + $"\"z\":{{\"dtype\":\"F32\",\"shape\":[{(9 << 20) / 4}],\"data_offsets\":[{before + bytes},{all}]}}}}");
        string path = folder["model.safetensors"];
        using (FileStream file = File.Create(path))
        {
            file.Write(BitConverter.GetBytes((long)header.Length));
            file.Write(header);
            file.SetLength(8 + header.Length + all);
        }

        string sound = Of(folder);
        using (FileStream file = File.OpenWrite(path))
        {
            file.Position = 8 + header.Length + before + changed;
            file.WriteByte(1);
        }

        Assert.NotEqual(sound, Of(folder));
    }

    private static string Of(TempFolder folder) => ModelFingerprint.Of(
        folder.Path, Directory.EnumerateFiles(folder.Path).Where(path => Path.GetExtension(path) is ".safetensors" or ".pt"));
}
