
namespace LdlVk.Hub.Tests;

/// <summary>Addresses as a browser shows them: of a repository's page, of a revision, of a file.</summary>
public sealed class HubAddressTests
{
    private const string Hub = "https://hub.example";

    [Theory]
    [InlineData("acme/rm", "https://huggingface.co/", "acme/rm", "main")]
    [InlineData("gpt2", "https://huggingface.co/", "gpt2", "main")]
    [InlineData(Hub + "/acme/rm", Hub + "/", "acme/rm", "main")]
    [InlineData(Hub + "/acme/rm/", Hub + "/", "acme/rm", "main")]
    [InlineData(Hub + "/mirror/hf/acme/rm", Hub + "/mirror/hf", "acme/rm", "main")]
    [InlineData(Hub + "/acme/rm/tree/main", Hub + "/", "acme/rm", "main")]
    [InlineData(Hub + "/acme/rm/tree/v2", Hub + "/", "acme/rm", "v2")]
    [InlineData(Hub + "/acme/rm/tree/v2/onnx", Hub + "/", "acme/rm", "v2")]
    [InlineData(Hub + "/acme/rm/tree/refs%2Fpr%2F1", Hub + "/", "acme/rm", "refs/pr/1")]
    [InlineData(Hub + "/acme/rm/tree/refs/pr/1", Hub + "/", "acme/rm", "refs/pr/1")]
    [InlineData(Hub + "/acme/rm/blob/main/config.json", Hub + "/", "acme/rm", "main")]
    [InlineData(Hub + "/acme/rm/blob/refs%2Fpr%2F1/a/config.json", Hub + "/", "acme/rm", "refs/pr/1")]
    [InlineData(Hub + "/acme/rm/resolve/main/model.safetensors?download=true", Hub + "/", "acme/rm", "main")]
    [InlineData(Hub + "/acme/rm/raw/0123abc/config.json", Hub + "/", "acme/rm", "0123abc")]
    [InlineData(Hub + "/acme/rm/commits/main", Hub + "/", "acme/rm", "main")]
    [InlineData(Hub + "/acme/rm/discussions/4", Hub + "/", "acme/rm", "main")]
    [InlineData(Hub + "/acme/tree", Hub + "/", "acme/tree", "main")]
    [InlineData(Hub + "/tree/tree/tree/tree", Hub + "/", "tree/tree", "tree")]
    [InlineData(Hub + "/api/models/acme/rm", Hub + "/", "acme/rm", "main")]
    [InlineData("huggingface.co/acme/rm/tree/v2", "https://huggingface.co/", "acme/rm", "v2")]
    [InlineData("https://hf.co/acme/rm", "https://huggingface.co/", "acme/rm", "main")]
    public void An_address_names_hub_repository_and_revision(string given, string hub, string name, string revision)
    {
        HubRepository repository = HubRepository.Parse(given, null, null);
        Assert.Equal((new Uri(hub), name, revision), (repository.Endpoint, repository.Name, repository.Revision));
    }

    [Theory]
    [InlineData(Hub + "/datasets/acme/data", "page of a dataset")]
    [InlineData(Hub + "/spaces/acme/app", "page of a space")]
    [InlineData(Hub + "/acme", "names no repository")]
    [InlineData(Hub, "names no repository")]
    [InlineData(Hub + "/a/b%20c", "no repository")]
    [InlineData("ftp://hub.example/a/b", "no address of a hub")]
    [InlineData("a/b/c", "no repository")]
    public void What_names_no_model_is_refused(string given, string says) =>
        Assert.Contains(says, Assert.Throws<UsageException>(() => HubRepository.Parse(given, null, null)).Message, StringComparison.Ordinal);

    [Fact]
    public void Two_revisions_are_one_too_many()
    {
        Assert.Contains("another", Assert.Throws<UsageException>(() => HubRepository.Parse(Hub + "/a/b/tree/v1", "v2", null)).Message, StringComparison.Ordinal);
        Assert.Equal("v1", HubRepository.Parse(Hub + "/a/b/tree/v1", "v1", null).Revision);
    }
}
