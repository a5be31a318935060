// The key by which nginx chooses a server: the first user message of the request's first text, so that all answers to a prompt, and all
// turns of a conversation, meet the server that has the prompt in its cache. The system message does not count: everybody may have the
// same one. Runs in nginx's own JavaScript (njs); a body that is no JSON, or is larger than client_body_buffer_size, goes anywhere.

// What opens the model's turn in texts that hold their template already.
const openings = ['<start_of_turn>model', '<|im_start|>assistant', '<|start_header_id|>assistant', '<|assistant|>', '[/INST]'];

// The fields of the protocols that hold texts, in the order in which a request with several of them is read.
const fields = ['messages', 'prompt', 'items', 'text_1', 'query', 'input', 'inputs', 'text', 'input_ids'];

function key(r) {
    if (!r.variables.request_body_file) {
        try {
            const found = beginning(JSON.parse(r.requestText), 0);
            if (found) return found;
        } catch (e) {
            // The server says what is wrong with the body.
        }
    }
    return r.variables.request_id;
}

function beginning(value, depth) {
    if (typeof value === 'string') return prompt(value);
    if (value === null || typeof value !== 'object' || depth > 8) return '';
    if (Array.isArray(value)) return ofList(value, depth);
    for (let i = 0; i < fields.length; i++) {
        const found = value[fields[i]];
        if (found !== undefined && found !== null) return beginning(found, depth + 1);
    }
    return '';
}

function ofList(list, depth) {
    const first = list[0];
    if (typeof first === 'number') return list.slice(0, 64).join(','); // token ids: the beginning, for want of messages
    if (first === null || typeof first !== 'object' || first.role === undefined) return beginning(first, depth + 1);
    for (let i = 0; i < list.length; i++) {
        if (list[i] && list[i].role === 'user') return typeof list[i].content === 'string' ? list[i].content : JSON.stringify(list[i].content);
    }
    return JSON.stringify(first.content);
}

function prompt(text) {
    let end = text.length;
    for (let i = 0; i < openings.length; i++) {
        const at = text.indexOf(openings[i]);
        if (at > 0 && at < end) end = at;
    }
    return text.slice(0, end);
}

export default { key };
