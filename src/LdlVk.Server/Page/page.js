// Sends a conversation and answers to /v1/rewards and draws what comes back. No library, no other host.
'use strict';

const byId = id => document.getElementById(id);
const form = byId('form'), answers = byId('answers'), status = byId('status'), ranking = byId('ranking');
let attributes = null; // their names, when the model is known; none for a model that gives the score alone

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function drawn(name, values, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Answers.

function addAnswer() {
  const text = element('textarea', { rows: 2 });
  const label = element('label');
  const remove = element('button', { type: 'button', textContent: 'Remove' });
  const answer = element('div', { className: 'answer' }, label, text, remove);
  remove.addEventListener('click', () => {
    const next = answer.nextElementSibling ?? answer.previousElementSibling;
    answer.remove();
    number();
    next?.querySelector('textarea').focus();
  });
  answers.append(answer);
  number();
  return text;
}

function number() {
  [...answers.children].forEach((answer, i, all) => {
    const text = answer.querySelector('textarea'), remove = answer.querySelector('button');
    text.id = `answer-${i + 1}`;
    answer.querySelector('label').htmlFor = text.id;
    answer.querySelector('label').textContent = `Answer ${i + 1}`;
    remove.setAttribute('aria-label', `Remove answer ${i + 1}`);
    remove.hidden = all.length === 1;
  });
}

// Turns.

function addTurn(role, content) {
  const choice = element('select', { ariaLabel: 'Who speaks' },
    ...['user', 'assistant', 'system'].map(value => element('option', { value, textContent: value, selected: value === role })));
  const text = element('textarea', { rows: 2, value: content, ariaLabel: 'What is said' });
  const remove = element('button', { type: 'button', textContent: 'Remove', ariaLabel: 'Remove the turn' });
  const turn = element('div', { className: 'answer turn' }, choice, text, remove);
  remove.addEventListener('click', () => {
    turn.remove();
    byId('conversation').focus();
  });
  byId('turns').append(turn);
  return text;
}

// The next speaker is the one who did not speak last.
function nextRole() {
  const last = byId('turns').lastElementChild?.querySelector('select').value;
  return last === 'user' ? 'assistant' : 'user';
}

// Messages that a text holds as JSON; null if it is an ordinary text.
function parsed(text) {
  if (!/^\s*\[\s*\{/.test(text)) return null;
  let turns;
  try {
    turns = JSON.parse(text);
  } catch (error) {
    if (!text.includes('"role"')) return null; // a message that begins with brackets
    throw new Error(`The conversation looks like a list of messages, but it is not valid JSON: ${error.message}`);
  }
  if (turns.every(t => typeof t?.role === 'string' && typeof t?.content === 'string')) return turns;
  throw new Error('The conversation is JSON, but not every item of it has a role and a content that are strings.');
}

function messages() {
  const text = byId('conversation').value;
  const before = [...byId('turns').children].map(turn => (
    { role: turn.querySelector('select').value, content: turn.querySelector('textarea').value }));
  return [...before, ...(parsed(text) ?? [{ role: 'user', content: text }])];
}

// Pasted JSON that ends with the user becomes turns, which can be read and changed.
function splitTurns() {
  let turns = null;
  try {
    turns = parsed(byId('conversation').value);
  } catch { /* said when it is scored */ }
  if (turns?.at(-1)?.role !== 'user') return;
  for (const turn of turns.slice(0, -1)) addTurn(turn.role, turn.content);
  byId('conversation').value = turns.at(-1).content;
}

// Asking.

async function ask(path, body) {
  const headers = { 'Content-Type': 'application/json' };
  if (byId('key').value) headers.Authorization = `Bearer ${byId('key').value}`;
  let response, reply;
  try {
    response = await fetch(path, body ? { method: 'POST', headers, body: JSON.stringify(body) } : { headers });
  } catch {
    throw new Error(`The server at ${location.host} does not answer. Is it still running, and is this machine connected?`);
  }
  try {
    reply = await response.json();
  } catch {
    throw new Error(`What answered is not the reward server, but perhaps a proxy before it: status ${response.status}.`);
  }
  if (response.status === 401) {
    const wrong = byId('key').value !== '';
    byId('key-field').hidden = false;
    byId('key').focus();
    throw new Error(wrong ? 'The API key is wrong. Type the one that the server was started with.'
      : 'This server needs an API key. Type it, and score again.');
  }
  if (response.status === 429) {
    const seconds = response.headers.get('Retry-After');
    throw new Error(`The server is busy. Try again${seconds ? ` in ${seconds} s` : ' soon'}.`);
  }
  if (!response.ok) throw new Error(reply.detail ?? reply.error?.message ?? `The server says ${response.status}.`);
  return reply;
}

async function learnModel() {
  const model = (await ask('v1/models')).data[0];
  attributes = model.attributes;
  byId('model').textContent = `${model.id} on ${model.device}, ${model.weights} weights; up to ${model.max_model_len} tokens.`;
}

function say(text, isError = false) {
  // A ranking of before would be taken for that of what is asked now.
  if (isError) {
    byId('results').hidden = true;
    ranking.replaceChildren();
  }
  status.textContent = text;
  status.className = isError ? 'error' : '';
}

async function score(event) {
  event?.preventDefault();
  const texts = [...answers.querySelectorAll('textarea')].map(t => t.value);
  byId('score').disabled = true;
  say('Scoring …');
  const begun = performance.now();
  try {
    const turns = messages();
    if (!attributes) await learnModel();
    const items = texts.map(content => ({ messages: [...turns, { role: 'assistant', content }] }));
    const reply = await ask('v1/rewards', { items, details: true });
    show(texts, reply.data, items);
    const seconds = ((performance.now() - begun) / 1000).toFixed(2);
    say(`${texts.length === 1 ? '1 answer' : `${texts.length} answers`}, ${reply.usage.total_tokens} tokens, ${seconds} s.`);
    byId('results-heading').focus();
  } catch (error) {
    say(error.message, true);
  } finally {
    byId('score').disabled = false;
  }
}

// Drawing.

function show(texts, data, items) {
  const ranked = data.map((reward, i) => ({ ...reward, text: texts[i], number: i + 1, item: items[i] }));
  ranked.sort((a, b) => (b.score ?? -Infinity) - (a.score ?? -Infinity));
  const scores = ranked.filter(r => !r.error).map(r => r.score);
  const low = Math.min(0, ...scores), high = Math.max(0, ...scores);
  ranking.replaceChildren(...ranked.map((r, place) => row(r, place, scores[0], low, high)));
  offerComparison(ranked);
  byId('results').hidden = false;
}

function row(reward, place, best, low, high) {
  const words = element('span', { className: 'words', textContent: `Answer ${reward.number}: ${reward.text}` });
  if (reward.error) {
    const failed = element('span', { className: 'error', textContent: 'not scored' });
    return element('li', {},
      element('details', {}, element('summary', {}, `${place + 1}.`, failed, '', words), reward.error.message));
  }

  const value = element('span', { className: 'value', textContent: reward.score.toFixed(2) });
  const summary = element('summary', {}, `${place + 1}.`, value, bar(reward.score, low, high, 140, 14), words);
  const text = element('p', { className: 'full', textContent: reward.text });
  const detail = element('div', { className: 'detail' }, text, ...facts(reward, place, best), shownText(reward.item));
  return element('li', {}, element('details', { open: place === 0 }, summary, detail));
}

// The text with its template and special tokens, asked for when it is opened.
function shownText(item) {
  const text = element('pre', { textContent: '…', tabIndex: 0 });
  const shown = element('details', { className: 'shown' }, element('summary', { textContent: 'The text as the model reads it' }), text);
  shown.addEventListener('toggle', async () => {
    if (!shown.open || text.dataset.known) return;
    try {
      text.textContent = (await ask('render', item)).data[0].text;
      text.dataset.known = 'yes';
    } catch (error) {
      text.textContent = error.message;
    }
  });
  return shown;
}

// A bar from zero to the value, between two bounds. What it shows is also there as a number.
function bar(value, low, high, width, height) {
  const at = x => (high === low ? 0 : (x - low) / (high - low)) * width;
  const from = Math.min(at(0), at(value)), length = Math.max(1, Math.abs(at(value) - at(0)));
  return drawn('svg', { viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true' },
    drawn('rect', { class: value < 0 ? 'bar negative' : 'bar', x: from, y: 1, width: length, height: height - 2 }),
    drawn('line', { class: 'axis', x1: at(0), x2: at(0), y1: 0, y2: height }));
}

function facts(reward, place, best) {
  const against = place === 0 ? `${reward.tokens} tokens.`
    : `${reward.tokens} tokens. Better than the best answer with probability ${(1 / (1 + Math.exp(best - reward.score))).toPrecision(2)}.`;
  const hint = element('p', { className: 'hint', textContent: against });
  if (reward.steps) return [stepScores(reward.steps), hint];
  if (reward.attributes) return [attributeScores(reward), hint];
  if (!reward.distribution) return [hint];
  const meaning = element('p', { className: 'hint', textContent: 'Each attribute rates the answer from 0 to 1, as a distribution over '
    + 'bins. This is their sum, each times its weight, which may be negative. The score is the sum of the bars, each times the '
    + 'number below it.' });
  const heading = element('h3', { textContent: 'Distribution' });
  return [element('div', {}, heading, histogram(reward.distribution), meaning, hint), subScores(reward)];
}

// The weighted sum of the attributes' distributions over the bins 0 … 1; weights may be negative, and so may a bin.
function histogram(bins) {
  const width = 300, height = 150, top = Math.max(0, ...bins), bottom = Math.min(0, ...bins), room = 12;
  const y = v => room + (top === bottom ? 0 : (top - v) / (top - bottom)) * (height - 2 * room);
  const step = width / bins.length;
  const svg = drawn('svg', { viewBox: `0 0 ${width} ${height + 14}`, role: 'img' });
  svg.setAttribute('aria-label', `Distribution over ${bins.length} bins from 0 to 1: ${bins.map(b => b.toFixed(2)).join(', ')}`);
  bins.forEach((bin, i) => {
    const label = drawn('text', { x: (i + 0.5) * step, y: bin < 0 ? y(bin) + 10 : y(bin) - 3, 'text-anchor': 'middle' });
    label.textContent = bin.toFixed(2);
    const name = drawn('text', { x: (i + 0.5) * step, y: height + 10, 'text-anchor': 'middle' });
    name.textContent = (i / (bins.length - 1)).toFixed(2);
    const column = drawn('rect', {
      class: bin < 0 ? 'bar negative' : 'bar',
      x: i * step + 2, width: step - 4, y: Math.min(y(bin), y(0)), height: Math.abs(y(bin) - y(0)),
    });
    svg.append(column, label, name);
  });
  svg.append(drawn('line', { class: 'axis', x1: 0, x2: width, y1: y(0), y2: y(0) }));
  return svg;
}

// The score of each step, from 0 to 1.
function stepScores(steps) {
  const rows = steps.map((step, i) => element('tr', {},
    element('th', { scope: 'row', textContent: `step ${i + 1}` }),
    element('td', { className: 'number', textContent: step.toFixed(2) }),
    element('td', { className: 'drawn' }, bar(step, 0, 1, 160, 10))));
  return table('Scores of the steps, from 0 (bad) to 1 (good)', ['step', 'score'], rows);
}

// Attributes with one number each. Behind a transform matrix, the adjusted scores are those that the weights multiply.
function attributeScores(reward) {
  const low = Math.min(0, ...reward.attributes), high = Math.max(0, ...reward.attributes);
  const rows = reward.attributes.map((score, i) => element('tr', {},
    element('th', { scope: 'row', textContent: (attributes[i] ?? `attribute ${i}`).replaceAll('_', ' ') }),
    element('td', { className: 'number', textContent: reward.weights[i].toFixed(2) }),
    element('td', { className: 'number', textContent: score.toFixed(2) }),
    ...(reward.adjusted ? [element('td', { className: 'number', textContent: reward.adjusted[i].toFixed(2) })] : []),
    element('td', { className: 'drawn' }, bar(score, low, high, 160, 10))));
  const names = ['attribute', 'weight', 'sub-score', ...(reward.adjusted ? ['adjusted'] : [])];
  return table(`Sub-scores. The score is the sum of weight times ${reward.adjusted ? 'adjusted score' : 'sub-score'}.`, names, rows);
}

function table(title, names, rows) {
  const head = element('tr', {}, ...names.map(textContent => element('th', { scope: 'col', textContent })), element('td'));
  return element('table', {}, element('caption', { textContent: title }), element('thead', {}, head), element('tbody', {}, ...rows));
}

function subScores(reward) {
  const rows = reward.rewards.map((bins, i) => {
    const expected = bins.reduce((sum, p, b) => sum + p * b / (bins.length - 1), 0);
    return element('tr', {},
      element('th', { scope: 'row', textContent: (attributes[i] ?? `attribute ${i}`).replaceAll('_', ' ') }),
      element('td', { className: 'number', textContent: reward.weights[i].toFixed(2) }),
      element('td', { className: 'number', textContent: expected.toFixed(2) }),
      element('td', { className: 'drawn' }, bar(expected, 0, 1, 160, 10)));
  });
  return table('Sub-scores, from 0 (bad) to 1 (good)', ['attribute', 'weight', 'sub-score'], rows);
}

byId('add-turn').addEventListener('click', () => addTurn(nextRole(), '').focus());
byId('conversation').addEventListener('change', splitTurns);
byId('add').addEventListener('click', () => addAnswer().focus());
form.addEventListener('submit', score);
form.addEventListener('keydown', event => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
addAnswer();
addAnswer();
learnModel().catch(error => say(error.message, true));
