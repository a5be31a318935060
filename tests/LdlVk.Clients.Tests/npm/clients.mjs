// Scores conversations by the public clients, unmodified. Standard input is {"url", "key", "folder", "cases": [{"messages", "text"}]}; folder
// is where the packages are. Standard output is a line for each call: {"call", "scores"} or {"call", "error"}.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { readFileSync } from "node:fs";

const { url, key, folder, cases } = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(pathToFileURL(folder + "/package.json"));
const { default: OpenAI } = require("openai");
const { CohereClient, CohereClientV2 } = require("cohere-ai");
const { InferenceClient, textClassification } = require("@huggingface/inference");

const model = "any", texts = cases.map(c => c.text), prompt = c => c.messages[0].content, answer = c => c.messages[1].content;
const openai = (apiKey = key) => new OpenAI({ baseURL: url + "/v1", apiKey, maxRetries: 0 });
const each = async call => { const all = []; for (const c of cases) all.push(await call(c)); return all; };
// Rerankers sort; the index says which document a score is for.
const inOrder = (results, score) => results.slice().sort((a, b) => a.index - b.index).map(score);
const ranked = async (call, score) => {
    const query = prompt(cases[0]);
    return inOrder((await call(query, cases.map(answer))).results, score);
};

const ofContent = answer => Number(answer.choices[0].message.content.match(/^reward:(.*)$/)[1]);

const calls = {
    "openai: chat.completions.create": () => each(async c => ofContent(await openai().chat.completions.create({ model, messages: c.messages }))),
    "openai: chat.completions.create, logprobs": () => each(async c =>
        (await openai().chat.completions.create({ model, messages: c.messages, logprobs: true })).choices[0].logprobs.content[0].logprob),
    "openai: chat.completions.create, attributes": async () =>
        (await openai().chat.completions.create({ model, messages: cases[0].messages })).choices[0].logprobs.content.slice(1)
            .map(({ token, logprob }) => [token, logprob]),
    "openai: a conversation that ends with the user": () =>
        openai().chat.completions.create({ model, messages: cases[0].messages.slice(0, 1) }),
    "@huggingface/inference: chatCompletion": () => each(async c =>
        ofContent(await new InferenceClient(key, { endpointUrl: url }).chatCompletion({ model, messages: c.messages }))),
    "openai: embeddings.create": async () => (await openai().embeddings.create({ model, input: texts })).data.map(d => d.embedding[0]),
    "openai: embeddings.create, floats": async () =>
        (await openai().embeddings.create({ model, input: texts, encoding_format: "float" })).data.map(d => d.embedding[0]),
    "openai: models.list": async () => (await openai().models.list()).data.map(m => m.id),
    "openai: models.retrieve": async () => [(await openai().models.retrieve("mini")).id],
    "openai: post /v1/score": async () =>
        each(async c => (await openai().post("/score", { body: { model, text_1: prompt(c), text_2: answer(c) } })).data[0].score),
    "openai: post /v1/classify": async () => (await openai().post("/classify", { body: { model, input: texts } })).data.map(d => d.probs[0]),
    "openai: a wrong key": async () => openai("a-wrong-key").models.list(),
    "cohere-ai: CohereClientV2.rerank": () => ranked(
        (query, documents) => new CohereClientV2({ token: key, environment: url }).rerank({ model, query, documents }), r => r.relevanceScore),
    "cohere-ai: CohereClient.rerank": () => ranked(
        (query, documents) => new CohereClient({ token: key, environment: url }).rerank({ model, query, documents: documents.map(text => ({ text })) }),
        r => r.relevanceScore),
    "cohere-ai: the best of them": async () => {
        const query = prompt(cases[0]), documents = cases.map(answer);
        const [best] = (await new CohereClientV2({ token: key, environment: url }).rerank({ model, query, documents, topN: 1 })).results;
        return [best.index, best.relevanceScore];
    },
    "cohere-ai: a wrong key": () => new CohereClientV2({ token: "a-wrong-key", environment: url })
        .rerank({ model, query: "q", documents: ["a"] }, { maxRetries: 0 }),
    "@huggingface/inference: textClassification of a text": () => each(async c =>
        (await textClassification({ accessToken: key, endpointUrl: url + "/predict", inputs: [[c.text]], raw_scores: true }))[0].score),
    "@huggingface/inference: textClassification of a pair": () => each(async c =>
        (await textClassification({ accessToken: key, endpointUrl: url + "/predict", inputs: [[prompt(c), answer(c)]], raw_scores: true }))[0].score),
    "@huggingface/inference: a wrong key": () =>
        textClassification({ accessToken: "hf_a-wrong-key", endpointUrl: url + "/predict", inputs: [["t"]] }),
};

for (const [call, run] of Object.entries(calls)) {
    try {
        console.log(JSON.stringify({ call, scores: await run() }));
    } catch (error) {
        const status = error.status ?? error.statusCode ?? error.httpResponse?.status;
        console.log(JSON.stringify({ call, status, error: `${error.message} ${JSON.stringify(error.httpResponse?.body ?? error.body ?? "")}` }));
    }
}
