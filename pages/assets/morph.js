// Makes one tree like another with few changes, so that focus, selection, scrolling and what a person opened stay.

// What marks an element as the same one.
function mark(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.id : '';
}

function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && mark(a) === mark(b);
}

function attributes(from, to) {
  // What a person opened or shut, the server does not know of.
  const kept = (name) => name === 'open' && from.nodeName === 'DETAILS';
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !kept(name)) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value && !kept(name)) from.setAttribute(name, value);
  }
}

function children(from, to) {
  const marked = new Map();
  for (const child of from.children) if (mark(child)) marked.set(mark(child), child);
  let at = from.firstChild;
  for (const want of [...to.childNodes]) {
    let have = mark(want) ? marked.get(mark(want)) : undefined;
    if (have && !alike(have, want)) have = undefined;
    if (!have && at && alike(at, want)) have = at;
    if (!have) {
      from.insertBefore(want, at);
    } else {
      if (have === at) at = at.nextSibling;
      else from.insertBefore(have, at);
      morph(have, want);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

// An element with `data-own` is its script's: only its attributes follow the server. A form that somebody is filling in stays.
export function morph(from, to) {
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  if (from.nodeName === 'FORM' && (from.contains(document.activeElement) || from.hasAttribute('data-touched'))) return;
  if (from.isEqualNode(to)) return;
  attributes(from, to);
  if (!from.hasAttribute('data-own')) children(from, to);
}
