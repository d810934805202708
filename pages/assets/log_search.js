// Looks for a text in the whole log, at the server; marks what is in sight.
const PAUSE_MS = 250;
const AGAIN_MS = 2_000;

export function search(store, view) {
  const field = document.querySelector('#log-q');
  const count = document.querySelector('#log-count');
  const marks = globalThis.CSS?.highlights && globalThis.Highlight;
  let wanted = '';
  let rows = [];
  let total = 0;
  let at = -1;
  let timer;
  let asked = 0;

  function say() {
    if (wanted === '') count.textContent = '';
    else if (total === 0) count.textContent = 'not found';
    else count.textContent = `${at + 1} of ${total}`;
  }

  // Ranges of the text in one row, across its colours.
  function ranges(element) {
    const text = element.lastChild;
    const nodes = [];
    const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
    let all = '';
    while (walker.nextNode()) {
      nodes.push([all.length, walker.currentNode]);
      all += walker.currentNode.data;
    }
    const exact = wanted !== wanted.toLowerCase();
    const [hay, needle] = exact ? [all, wanted] : [all.toLowerCase(), wanted.toLowerCase()];
    const place = (offset) => {
      let found = nodes[0];
      for (const node of nodes) if (node[0] <= offset) found = node;
      return [found[1], Math.min(offset - found[0], found[1].data.length)];
    };
    const found = [];
    for (let i = hay.indexOf(needle); i >= 0 && found.length < 200; i = hay.indexOf(needle, i + needle.length)) {
      const range = new Range();
      range.setStart(...place(i));
      range.setEnd(...place(i + needle.length));
      found.push(range);
    }
    return found;
  }

  view.drawn = (lines) => {
    const all = [];
    const now = [];
    for (const [number, element] of lines) {
      const found = wanted === '' ? [] : ranges(element);
      element.classList.toggle('hit', found.length > 0);
      (number === rows[at] ? now : all).push(...found);
    }
    if (!marks) return;
    CSS.highlights.set('found', new Highlight(...all));
    CSS.highlights.set('found-now', new Highlight(...now));
  };

  function go(by) {
    if (rows.length === 0) return;
    at = (at + by + rows.length) % rows.length;
    view.show(rows[at]);
    say();
  }

  async function look(stay) {
    wanted = field.value;
    asked += 1;
    const mine = asked;
    if (wanted === '') {
      [rows, total, at] = [[], 0, -1];
      say();
      view.draw();
      return;
    }
    try {
      const answer = await fetch(store.address('search', `q=${encodeURIComponent(wanted)}`));
      if (!answer.ok) throw new Error(String(answer.status));
      const found = await answer.json();
      if (mine !== asked) return;
      ({ rows, count: total } = found);
    } catch {
      if (mine === asked) count.textContent = 'no answer';
      return;
    }
    if (stay && at >= 0) {
      at = Math.min(at, rows.length - 1);
    } else {
      at = rows.findIndex((row) => row >= view.top);
      if (at < 0 && rows.length > 0) at = 0;
      if (at >= 0) view.show(rows[at]);
    }
    say();
    view.draw();
  }

  field.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => look(false), PAUSE_MS);
  });
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    if (field.value === wanted) {
      go(event.shiftKey ? -1 : 1);
    } else {
      clearTimeout(timer);
      look(false);
    }
  });
  document.querySelector('#log-find').addEventListener('submit', (event) => event.preventDefault());
  document.querySelector('#log-next').addEventListener('click', () => go(1));
  document.querySelector('#log-prev').addEventListener('click', () => go(-1));
  return {
    go,
    // The log has grown.
    again() {
      if (wanted === '') return;
      clearTimeout(timer);
      timer = setTimeout(() => look(true), AGAIN_MS);
    },
  };
}
