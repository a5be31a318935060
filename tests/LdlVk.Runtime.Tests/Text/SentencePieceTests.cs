using System.Text.Json;
using LdlVk.Runtime.Text;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Text;

/// <summary>Checkpoints that have a tokenizer.model and no tokenizer.json.</summary>
public sealed class SentencePieceTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static List<(string Text, float Score, int Type)> Small()
    {
        List<(string, float, int)> pieces = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3)];
        for (int b = 0; b < 256; b++) pieces.Add(($"<0x{b:X2}>", 0, 6));
        foreach (string piece in (string[])["ab", "▁a", "▁ab", "▁", "a", "b", "c"]) pieces.Add((piece, -pieces.Count, 1));
        return pieces;
    }

    private Tokenizer Load(byte[] model) => Tokenizer.LoadSentencePiece(_folder.Write("tokenizer.model", model));

    private string Refusal(byte[] model) => Assert.Throws<CheckpointException>(() => Load(model)).Message;

    /// <summary>Mistral's model, written from its tokenizer.json: its scores are the ids, but for runs of spaces.</summary>
    [Fact]
    public void A_model_gives_the_ids_of_its_tokenizer_json()
    {
        Assert.SkipWhen(FetchedTokenizer.Mistral.File.Path is null, FetchedTokenizer.Mistral.File.WhyNot ?? "");
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(FetchedTokenizer.Mistral.File.Path!));
        byte[] model = SentencePieceModel.Write(json.RootElement.GetProperty("model").GetProperty("vocab").EnumerateObject()
            .Select(piece => (Text: piece.Name, Id: piece.Value.GetInt32())).OrderBy(piece => piece.Id)
            .Select(piece => (piece.Text, piece.Text.Length > 1 && piece.Text.All(c => c == '▁') ? -1e9f : piece.Id < 259 ? 0 : 259 - piece.Id,
                piece.Id switch { 0 => 2, 1 or 2 => 3, < 259 => 6, _ => 1 })));
        Tokenizer tokenizer = Load(model);
        List<JsonElement> lines = Goldens.Lines("tests", "data", "tokenizer", "llama2-tokenizer-goldens.jsonl");
        Assert.All(lines, line => Assert.Equal(line.Ids("ids"), tokenizer.Encode(line.Text("text"))));
        Assert.Equal((32_000, 1), (tokenizer.VocabularySize, tokenizer.Bos));
        Assert.Equal("tokenizer.model", Tokenizer.Find(_folder.Path)!.FileName);
    }

    [Fact]
    public void The_higher_score_merges_first()
    {
        Tokenizer tokenizer = Load(SentencePieceModel.Write(Small()));
        Assert.Equal([261], tokenizer.Encode("ab")); // "▁" and "ab", not "▁a" and "b"
        Assert.Equal([1, 260, 265, 2], tokenizer.Encode("<s>ac</s>"));
        Assert.Equal([262, 0xC3 + 3, 0xA9 + 3], tokenizer.Encode("é"));
        Assert.Equal("ab<s> é", tokenizer.Decode(tokenizer.Encode("ab<s>é")));
    }

    [Fact]
    public void The_configuration_beside_it_counts()
    {
        _folder.Write("tokenizer_config.json", """{"legacy":false,"add_bos_token":false,"bos_token":"<s>","added_tokens_decoder":{"300":{"content":"<new>","special":true,"lstrip":true}}}""");
        Tokenizer tokenizer = Load(SentencePieceModel.Write(Small()));
        Assert.Equal([260, 300, 263], tokenizer.Encode("a <new>a")); // only the text's beginning gets a space
        Assert.Null(tokenizer.Bos);
        _folder.Write("tokenizer_config.json", """{"added_tokens_decoder":{"5":{"content":"<new>"}}}""");
        Assert.Contains("piece 5 is \"<0x02>\"", Refusal(SentencePieceModel.Write(Small())), StringComparison.Ordinal);
        File.Delete(_folder["tokenizer_config.json"]);
        _folder.Write("added_tokens.json", """{"<pad>":301}""");
        Assert.Equal([301], Load(SentencePieceModel.Write(Small(), addsPrefix: false)).Encode("<pad>"));
    }

    [Fact]
    public void Other_kinds_are_refused_by_name()
    {
        Assert.Contains("UNIGRAM", Refusal(SentencePieceModel.Write(Small(), kind: 1)), StringComparison.Ordinal);
        Assert.Contains("remove_extra_whitespaces", Refusal(SentencePieceModel.Write(Small(), removesSpaces: true)), StringComparison.Ordinal);
        Assert.Contains("nmt_nfkc", Refusal(SentencePieceModel.Write(Small(), characterMap: "x")), StringComparison.Ordinal);
        Assert.Contains("which piece 3 is too", Refusal(SentencePieceModel.Write([.. Small(), ("<0x00>", 0, 1)])), StringComparison.Ordinal);
        Assert.Contains("SentencePiece", Refusal([1, 2, 3]), StringComparison.Ordinal);
        Assert.Contains("no pieces", Refusal(SentencePieceModel.Write([])), StringComparison.Ordinal);
        Assert.Contains("does not exist", Assert.Throws<CheckpointException>(() => Tokenizer.LoadSentencePiece(_folder["none"])).Message, StringComparison.Ordinal);
    }
}
