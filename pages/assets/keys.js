// Keys: j and k through rows, / to the filter, g and a letter to a place, ? for all of them.
const GO_MS = 1_200;
const HELP = [
  ['j / k', 'next and previous row'],
  ['Enter', 'open the row'],
  ['/', 'to the filter'],
  ['g h', 'what burns now'],
  ['g i', 'incidents'],
  ['g r', 'runs'],
  ['g a', 'agents'],
  ['g w', 'workflows'],
  ['?', 'these keys'],
  ['Esc', 'close'],
];

const LOG = [
  ['n / N', 'next and previous place that was found'],
  ['f', 'follow the log'],
  ['w', 'wrap its lines'],
];

let going = 0;

function typing(target) {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches('input, textarea, select'));
}

function step(by) {
  const links = [...document.querySelectorAll('[data-rows] .title')].filter((link) => link.offsetParent);
  if (links.length === 0) return;
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1);
  links[next].focus();
  links[next].closest('.row')?.scrollIntoView({ block: 'nearest' });
}

function help() {
  let dialog = document.querySelector('#keys');
  if (!dialog) {
    dialog = document.createElement('dialog');
    dialog.id = 'keys';
    dialog.setAttribute('aria-labelledby', 'keys-title');
    const title = document.createElement('h2');
    title.id = 'keys-title';
    title.textContent = 'Keys';
    const list = document.createElement('dl');
    for (const [key, what] of document.querySelector('#log') ? [...HELP, ...LOG] : HELP) {
      const term = document.createElement('dt');
      for (const one of key.split(' ')) {
        const part = document.createElement(one === '/' && key !== '/' ? 'span' : 'kbd');
        part.textContent = one;
        term.append(part, ' ');
      }
      const meaning = document.createElement('dd');
      meaning.textContent = what;
      list.append(term, meaning);
    }
    const form = document.createElement('form');
    form.method = 'dialog';
    const button = document.createElement('button');
    button.textContent = 'Close';
    form.append(button);
    dialog.append(title, list, form);
    document.body.append(dialog);
  }
  if (!dialog.open) dialog.showModal();
}

function go(letter) {
  const place = document.querySelector(`nav a[data-key="${CSS.escape(letter)}"]`);
  if (place) location.assign(place.href);
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (typing(event.target)) {
    if (event.key === 'Escape') event.target.blur();
    return;
  }
  if (document.querySelector('dialog[open]')) return;
  if (performance.now() < going) {
    going = 0;
    go(event.key);
    return;
  }
  if (event.key === 'j') step(1);
  else if (event.key === 'k') step(-1);
  else if (event.key === 'g') going = performance.now() + GO_MS;
  else if (event.key === '?') help();
  else if (event.key === '/') {
    const filter = document.querySelector('[data-filter]') ?? document.querySelector('.filters a');
    if (!filter) return;
    event.preventDefault();
    filter.focus();
  }
}

export function keys() {
  document.addEventListener('keydown', pressed);
  const hint = document.querySelector('.keyhint');
  if (hint) hint.hidden = false;
}
