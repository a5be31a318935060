using LdlVk.Runtime.Model;
using LdlVk.Runtime.Model.Heads;

namespace LdlVk;

/// <summary>How a <see cref="RewardModel"/> runs. The defaults suit most.</summary>
public sealed record RewardModelOptions
{
    /// <summary>
    /// <c>auto</c>, <c>cpu</c>, <c>vulkan</c>, <c>vulkan:N</c>, or several with commas between them, over which the layers are divided in
    /// that order; one that is named twice is opened twice.
    /// </summary>
    public string Device { get; init; } = "auto";

    /// <summary>
    /// Which kernels Vulkan devices run. <see cref="KernelChoice.Auto"/> follows the environment variable LDLVK_KERNELS, if that is set.
    /// Kernels on matrix units and portable ones differ in the last bits of a score.
    /// </summary>
    public KernelChoice Kernels { get; init; }

    /// <summary>
    /// Folder of a PEFT adapter (LoRA, rsLoRA) that changes the model; null for none. It is merged as the weights are read. A model's
    /// folder may also be that of an adapter, if the base model is where adapter_config.json says, or beside it.
    /// </summary>
    public string? Adapter { get; init; }

    /// <summary>Layers of each device; null to divide them by the devices' speed and memory.</summary>
    public IReadOnlyList<int>? Split { get; init; }

    /// <summary>
    /// Bytes of memory to use at most, on each device or one figure for all; empty for what is free. Layers for which there is no room are
    /// brought to the device when their turn comes.
    /// </summary>
    public IReadOnlyList<long> Memory { get; init; } = [];

    /// <summary>Told what the devices do when; null for nobody.</summary>
    public ITimeline? Timeline { get; init; }

    /// <summary>Format of the backbone's weights; null for the best that fits into the device's memory.</summary>
    public WeightFormat? Weights { get; init; }

    /// <summary>Format of the heads' weights. They are small, and fp32 is how they were published.</summary>
    public WeightFormat Heads { get; init; } = WeightFormat.Fp32;

    /// <summary>
    /// The head, where a checkpoint has several: the name of its tensors, such as <c>score</c> or <c>v_head</c>. <c>steps</c> for one that
    /// scores steps although nothing in its files says so; <c>logit:N</c> for the logit of token N of a language model that was trained to
    /// score by it. Null for the only head that there is.
    /// </summary>
    public string? Head { get; init; }

    /// <summary>How the scores of steps become one; null for what the model's authors do.</summary>
    public StepAggregation? StepAggregation { get; init; }

    /// <summary>
    /// What separates the steps of a response that is given as one text; null for what the model's code takes. No score depends on it where
    /// steps are given as a list.
    /// </summary>
    public string? StepSeparator { get; init; }

    /// <summary>
    /// How the backbone's products are computed: <see cref="ComputeMode.Int8"/> is less exact, and needs int8 or int4 weights;
    /// <see cref="ComputeMode.Fp16x"/> is slightly less exact, and needs any but fp32.
    /// </summary>
    public ComputeMode Compute { get; init; }

    /// <summary>
    /// Whether to measure on the first micro-batch what <see cref="Compute"/> costs, as <see cref="RewardModel.ComputeError"/>: that batch
    /// is then computed twice.
    /// </summary>
    public bool MeasureComputeError { get; init; }

    /// <summary>By what the embeddings are multiplied.</summary>
    public EmbeddingScale EmbeddingScale { get; init; }

    /// <summary>
    /// <c>auto</c> follows the checkpoint, <c>gemma2</c> and <c>none</c> override it. None joins the contents as they are.
    /// </summary>
    public string ChatTemplate { get; init; } = "auto";

    /// <summary>
    /// The date that the checkpoint's chat template prints if it asks for today's, as Llama 3.2's does; null for 2024-07-26. A template
    /// that prints none is an error then.
    /// </summary>
    public DateTime? TemplateDate { get; init; }

    /// <summary>
    /// What special tokens are that stand in a message: the tokens, as in the reference, or text. Text is right where messages come from
    /// people who may wish to steer the model.
    /// </summary>
    public SpecialTokens SpecialTokens { get; init; }

    /// <summary>
    /// What happens to a system message where the template has no system role: an error, or its text is put before the first user message.
    /// The authors of such models published no rule for it, so a merged text is not one that the model was trained on.
    /// </summary>
    public SystemMessages SystemMessages { get; init; }

    /// <summary>What happens to texts with markers of another model's chat template.</summary>
    public ForeignMarkers ForeignMarkers { get; init; }

    /// <summary>Tokens of a micro-batch where none are given.</summary>
    public const int DefaultBatchTokens = 4096;

    /// <summary>
    /// Tokens of a micro-batch: enough to fill a GPU and to hold a prompt with its responses. It changes speed and memory, never a score.
    /// </summary>
    public int BatchTokens { get; init; } = DefaultBatchTokens;

    /// <summary>Whether texts that begin alike share the computation of their beginning. It changes speed, never a score.</summary>
    public bool SharePrefixes { get; init; } = true;

    /// <summary>
    /// Bytes of device memory, on all devices together, for the keys and values of beginnings that come again, such as a prompt whose
    /// answers are sent one by one; null for a part of what the model leaves free, 0 for none. It changes speed, never a score.
    /// </summary>
    public long? PromptCache { get; init; }

    /// <summary>
    /// Bytes of host memory for what must leave the prompt cache's device memory: it comes back from there instead of being computed again.
    /// Null for a part of what is free where devices have memory of their own, 0 for none. It changes speed, never a score.
    /// </summary>
    public long? PromptCacheHost { get; init; }

    /// <summary>Whether a text longer than the model takes loses tokens from its middle; otherwise it is an error.</summary>
    public bool Truncate { get; init; }

    /// <summary>
    /// Whether the first use of a real GPU with a model takes about a second to find fast tiles, kept for this version of its driver. It
    /// changes speed, never a score.
    /// </summary>
    public bool Tune { get; init; } = true;

    /// <summary>Verifies that the options about steps and texts are of use for a model with this head.</summary>
    /// <param name="head">The head.</param>
    /// <exception cref="UsageException">One is not: scores would be the same without it.</exception>
    public void CheckFor(ModelHead head)
    {
        ArgumentNullException.ThrowIfNull(head);
        if (head.StepMarks == StepMarks.None)
        {
            if (StepAggregation is { } aggregation)
                throw Useless(OptionName.StepAggregation.Of(aggregation.ToString().ToLowerInvariant()));
            if (StepSeparator is not null) throw Useless(OptionName.StepSeparator);
            return;
        }

        if (head.StepMarks == StepMarks.Token) return;
        string why = head.StepMarks == StepMarks.LineBreaks
            ? "the code of this model writes question and steps without a chat template"
            : "this model scores token ids alone, as its authors published no way to write steps";
        if (head.StepMarks == StepMarks.Positions && StepSeparator is not null) throw Of(OptionName.StepSeparator);
        if (ChatTemplate is not ("auto" or "none")) throw Of(OptionName.ChatTemplate.Of(ChatTemplate));
        if (SystemMessages != SystemMessages.Error) throw Of(OptionName.SystemMessages.Of("merge"));
        if (TemplateDate is not null) throw Of(OptionName.TemplateDate);

        static UsageException Useless(OptionName option) => new(
            $"{option} would change nothing: this model scores whole texts, not steps. Leave it out, or choose "
            + $"{OptionName.Head.Of("steps")} if its head was trained on steps.");

        UsageException Of(OptionName option) => new($"{option} would change nothing: {why}. Leave it out.");
    }

    /// <summary>Verifies that no option is about texts if a model has no tokenizer: only token ids are scored then.</summary>
    internal void CheckForText(Checkpoint checkpoint)
    {
        if (checkpoint.HasTokenizer) return;
        if (ChatTemplate != "auto") throw Of(OptionName.ChatTemplate.Of(ChatTemplate));
        if (SystemMessages != SystemMessages.Error) throw Of(OptionName.SystemMessages.Of("merge"));
        if (TemplateDate is not null) throw Of(OptionName.TemplateDate);
        if (StepSeparator is not null) throw Of(OptionName.StepSeparator);

        UsageException Of(OptionName option) => new(
            (Notice)$"{option} would change nothing: {checkpoint.TextFolder} has no tokenizer, so only input_ids can be scored. "
            + "Leave it out, or download the tokenizer from the model's page.");
    }

    internal void Check()
    {
        if (BatchTokens < 1) throw new UsageException($"Micro-batches of {BatchTokens} tokens are impossible; use 1 or more.");
        if (PromptCache < 0) throw new UsageException($"{OptionName.PromptCache} cannot be below 0.");
        if (PromptCacheHost < 0) throw new UsageException($"{OptionName.PromptCacheHost} cannot be below 0.");
        if (PromptCacheHost > 0 && PromptCache == 0)
            throw new UsageException(
                (Notice)$"{OptionName.PromptCacheHost} is for what leaves the prompt cache, and {OptionName.PromptCache.Of("0")} keeps "
                    + "nothing. Leave one of them out.");
        if (StepSeparator is "") throw new UsageException($"{OptionName.StepSeparator} is empty, which separates nothing.");
        if (Memory.Any(bytes => bytes < 1)) throw new UsageException("A memory limit is at least 1 byte.");
        if (!TextEncoder.ChatTemplates.Contains(ChatTemplate))
            throw new UsageException($"There is no chat template '{ChatTemplate}'; there are "
                + $"{string.Join(", ", TextEncoder.ChatTemplates)}.");
    }
}
