// A log that scrolls as one long list: only the rows in sight are in the page, and only those near it in memory.
import { Store } from './log_store.js';
import { View } from './log_view.js';
import { search } from './log_search.js';
import { grow } from './log_live.js';

const region = document.querySelector('#log');
const size = document.querySelector('#log-size');
const life = document.querySelector('#log-life');
const cut = document.querySelector('#log-cut');
const wrap = document.querySelector('#log-wrap');
const follow = document.querySelector('#log-follow');

function bytes(count) {
  if (count < 1024) return `${count} B`;
  const [unit, of] = count < 1_048_576 ? ['KiB', 1024] : ['MiB', 1_048_576];
  return `${Math.floor((count / of) * 10) / 10} ${unit}`;
}

// The line that the address names, from 0.
function named() {
  const found = /^#L(\d+)$/.exec(location.hash);
  return found ? Number(found[1]) - 1 : undefined;
}

function start() {
  const store = new Store(region.dataset);
  const view = new View(region, store);
  const found = search(store, view);

  function grew() {
    size.textContent = `${store.rows.toLocaleString('en')} ${store.rows === 1 ? 'line' : 'lines'}, ${bytes(store.bytes)}`;
    const ended = store.endUnknown ? 'ended' : 'complete';
    life.textContent = store.ended ? ended : 'not ended';
    cut.hidden = !store.endUnknown;
    document.querySelector('#log-empty')?.toggleAttribute('hidden', store.rows > 0);
    region.hidden = store.rows === 0;
    if (store.ended) follow.closest('label').hidden = true;
    view.resize();
    found.again();
  }

  for (const part of document.querySelectorAll('[data-plain]')) part.hidden = true;
  document.querySelector('#log-find').hidden = false;
  for (const toggle of [wrap, follow]) toggle.closest('label').hidden = false;
  wrap.addEventListener('change', () => view.wrap(wrap.checked));
  follow.addEventListener('change', () => view.follow(follow.checked));
  region.addEventListener('log:follow', () => {
    follow.checked = view.follows;
  });
  addEventListener('hashchange', () => {
    if (named() !== undefined) view.show(named(), true);
  });
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.('input:not([type=checkbox]), dialog *')) return;
    if (event.key === 'w') wrap.click();
    else if (event.key === 'f' && !store.ended) follow.click();
    else if (event.key === 'n') found.go(1);
    else if (event.key === 'N') found.go(-1);
  });
  store.changed = grew;
  grew();
  if (named() === undefined) view.follow(true, !store.ended);
  else view.show(named(), true);
  if (!store.ended) grow(store);
}

if (region) start();
