// Two answers side by side, with the words that only one of them has marked.
'use strict';

// Words beyond this product would take seconds; such texts are shown without marks.
const maxProduct = 4_000_000;

// The words of a text, each with the white space behind it.
const wordsOf = text => text.match(/\s+|\S+\s*/g) ?? [];

// Which words of each text are not in the longest common subsequence of both.
function differences(a, b) {
  if (a.length * b.length > maxProduct) return [a.map(() => false), b.map(() => false)];
  const wide = b.length + 1, lengths = new Uint32Array((a.length + 1) * wide);
  const same = (i, j) => a[i].trimEnd() === b[j].trimEnd();
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i * wide + j] = same(i, j)
        ? lengths[(i + 1) * wide + j + 1] + 1
        : Math.max(lengths[(i + 1) * wide + j], lengths[i * wide + j + 1]);
    }
  }

  const onlyA = a.map(() => true), onlyB = b.map(() => true);
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (same(i, j)) onlyA[i++] = onlyB[j++] = false;
    else if (lengths[(i + 1) * wide + j] >= lengths[i * wide + j + 1]) i++;
    else j++;
  }
  return [onlyA, onlyB];
}

function marked(words, only) {
  const text = element('p', { className: 'full' });
  words.forEach((word, i) => text.append(only[i] ? element('mark', { textContent: word }) : word));
  return text;
}

// Fills the section for a ranking; its two lists choose the answers.
function offerComparison(ranked) {
  const section = byId('compare');
  section.hidden = ranked.length < 2;
  if (ranked.length < 2) return;
  const lists = [byId('left'), byId('right')];
  lists.forEach((list, side) => {
    list.replaceChildren(...ranked.map((r, i) => element('option', {
      value: i, selected: i === side, textContent: `Answer ${r.number}${r.error ? '' : `, ${r.score.toFixed(2)}`}`,
    })));
    list.onchange = draw;
  });
  draw();

  function draw() {
    const [a, b] = lists.map(list => wordsOf(ranked[list.value].text));
    const [onlyA, onlyB] = differences(a, b);
    byId('sides').replaceChildren(marked(a, onlyA), marked(b, onlyB));
  }
}
