// What the Rust library tokenizers makes of texts. Standard input: a JSON object a line, with "texts" and one of "file" (a tokenizer.json),
// "tokenizer" (with "surround": with what it puts around a text), "normalizer" or "pre_tokenizer" (their JSON). Standard output: a line of results for each.
const { Tokenizer } = require(process.argv[2]);
const empty = { version: '1.0', truncation: null, padding: null, added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null,
    model: { type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false, byte_fallback: false, vocab: {}, merges: [] } };

async function answer(request) {
    if (request.normalizer) {
        const normalizer = Tokenizer.fromString(JSON.stringify({ ...empty, normalizer: request.normalizer })).getNormalizer();
        return request.texts.map(text => normalizer.normalizeString(text));
    }
    if (request.pre_tokenizer) {
        const preTokenizer = Tokenizer.fromString(JSON.stringify({ ...empty, pre_tokenizer: request.pre_tokenizer })).getPreTokenizer();
        return request.texts.map(text => preTokenizer.preTokenizeString(text).map(piece => piece[0]));
    }
    const tokenizer = request.file ? Tokenizer.fromFile(request.file) : Tokenizer.fromString(JSON.stringify(request.tokenizer));
    const results = [];
    for (const text of request.texts) {
        const ids = (await tokenizer.encode(text, null, { addSpecialTokens: request.surround === true })).getIds();
        results.push({ ids, text: await tokenizer.decode(ids, false) });
    }
    return results;
}

(async () => {
    for (const line of require('fs').readFileSync(0, 'utf8').split('\n')) {
        if (line) process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + '\n');
    }
})();
