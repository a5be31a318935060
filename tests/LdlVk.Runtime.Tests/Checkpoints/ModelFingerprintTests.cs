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

    private static string Of(TempFolder folder) => ModelFingerprint.Of(
        folder.Path, Directory.EnumerateFiles(folder.Path).Where(path => Path.GetExtension(path) is ".safetensors" or ".pt"));
}
