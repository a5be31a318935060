namespace LdlVk.Mutation;

/// <summary>All readers by their names.</summary>
internal static class Readers
{
    private static readonly Dictionary<string, Func<Reader>> All = new(StringComparer.Ordinal)
    {
        ["json-lines"] = DatasetReaders.JsonLines,
        ["json-array"] = DatasetReaders.JsonArray,
        ["json-columns"] = DatasetReaders.JsonColumns,
        ["csv"] = DatasetReaders.Csv,
        ["parquet"] = DatasetReaders.Parquet,
        ["arrow"] = DatasetReaders.Arrow,
        ["arrow-folder"] = DatasetReaders.ArrowFolder,
        ["gzip"] = DatasetReaders.Gzip,
        ["zstandard"] = DatasetReaders.Zstandard,
        ["pairs"] = DatasetReaders.Pairs,
        ["journal"] = RunReaders.Journal,
        ["run-record"] = RunReaders.Record,
        ["parts"] = RunReaders.Parts,
        ["config"] = CheckpointReaders.Config,
        ["safetensors"] = CheckpointReaders.Safetensors,
        ["safetensors-header"] = CheckpointReaders.SafetensorsHeader,
        ["model-header"] = CheckpointReaders.ModelHeader,
        ["converted-header"] = CheckpointReaders.ConvertedHeader,
        ["index"] = CheckpointReaders.Index,
        ["torch"] = CheckpointReaders.Torch,
        ["pickle"] = CheckpointReaders.Pickle,
        ["torch-model"] = CheckpointReaders.TorchModel,
        ["torch-index"] = CheckpointReaders.TorchIndex,
        ["fp8-config"] = CheckpointReaders.Fp8Config,
        ["fp8-header"] = CheckpointReaders.Fp8Header,
        ["adapter-config"] = AdapterReaders.Config,
        ["adapter-weights"] = AdapterReaders.Weights,
        ["tokenizer"] = CheckpointReaders.TokenizerFile,
        ["sentencepiece"] = CheckpointReaders.SentencePiece,
        ["chat-template"] = CheckpointReaders.ChatTemplateFile,
        ["manifest"] = CheckpointReaders.Manifest,
        ["labels"] = CacheReaders.Labels,
        ["hub-listing"] = CacheReaders.HubListing,
        ["pull-receipt"] = CacheReaders.Receipt,
        ["tiles"] = CacheReaders.Tiles,
        ["speeds"] = CacheReaders.Speeds,
    };

    /// <summary>The names.</summary>
    public static IEnumerable<string> Names => All.Keys;

    /// <summary>Creates a reader.</summary>
    public static Reader Create(string name) => All[name]();
}
