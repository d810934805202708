// What is in sight of a log. Every row has one height; where the whole is higher than browsers can scroll, the scroll bar
// stands for the rows by proportion and the wheel moves by rows.
const ROW = 20;
const HIGHEST = 8_000_000;
const AROUND = 12;

function line(number) {
  const element = document.createElement('div');
  element.className = 'line';
  element.id = `L${number + 1}`;
  const link = document.createElement('a');
  link.className = 'no';
  link.href = `#L${number + 1}`;
  link.tabIndex = -1;
  link.textContent = String(number + 1);
  link.setAttribute('aria-label', `Line ${number + 1}`);
  const text = document.createElement('span');
  text.className = 'text';
  element.append(link, text);
  return element;
}

function note(words) {
  const element = document.createElement('em');
  element.className = 'gap';
  element.textContent = words;
  return element;
}

// Text nodes only: whatever a log says stays text.
function fill(text, row) {
  text.replaceChildren();
  if (row === undefined) {
    text.append('…');
    text.className = 'text waits';
    return;
  }
  text.className = 'text';
  if (row.lost) {
    text.append(note(`${row.lost} bytes lost here`));
    return;
  }
  const spans = row.spans ?? row;
  for (let i = 0; i < spans.length; i += 2) {
    if (spans[i + 1] === '') {
      text.append(spans[i]);
    } else {
      const span = document.createElement('span');
      span.className = spans[i + 1];
      span.textContent = spans[i];
      text.append(span);
    }
  }
  if (row.cut) text.append(note(` … ${row.cut} characters more: truncated here, the download has them`));
}

export class View {
  #lines = new Map();
  #top = 0;
  #expected = -1;
  #here;
  #wraps = false;
  #drawing = false;
  follows = false;
  // Called with the rows in sight after they were drawn: a map from numbers to elements.
  drawn = () => {};

  constructor(region, store) {
    this.region = region;
    this.store = store;
    this.space = document.createElement('div');
    this.space.className = 'space';
    this.window = document.createElement('div');
    this.window.className = 'window';
    region.classList.add('scrolls');
    region.replaceChildren(this.space, this.window);
    region.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    region.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    region.addEventListener('click', (event) => {
      const link = event.target.closest('a.no');
      if (!link) return;
      event.preventDefault();
      history.replaceState(null, '', link.hash);
      this.#mark(Number(link.hash.slice(2)) - 1);
    });
    new ResizeObserver(() => this.resize()).observe(region);
    // Wrapped rows show how high they are only when they have come.
    store.came = () => (this.follows && this.#wraps ? this.#toEnd() : this.draw());
  }

  get #sight() {
    return Math.max(Math.floor(this.region.clientHeight / ROW), 1);
  }

  get #last() {
    // Wrapped rows are higher than their share: the last one may come up to the top.
    return Math.max(this.store.rows - (this.#wraps ? 1 : this.#sight), 0);
  }

  get #scale() {
    return this.#last * ROW > HIGHEST ? HIGHEST / this.#last : ROW;
  }

  resize() {
    const height = Math.ceil(this.#last * this.#scale + this.region.clientHeight);
    this.space.style.height = `${height}px`;
    // A short log takes no more room than it needs, with some for a scroll bar.
    this.region.style.maxHeight = this.#wraps ? '' : `${Math.max(this.store.rows, 5) * ROW + 18}px`;
    if (this.follows) this.#toEnd();
    else this.#move(this.#top);
  }

  #move(top) {
    this.#top = Math.min(Math.max(top, 0), this.#last);
    const wanted = Math.round(this.#top * this.#scale);
    this.#expected = wanted;
    if (Math.abs(this.region.scrollTop - wanted) > 1) this.region.scrollTop = wanted;
    this.draw();
  }

  #scrolled() {
    const at = this.region.scrollTop;
    if (Math.abs(at - this.#expected) <= 1) return;
    this.#expected = at;
    const before = this.#top;
    this.#top = Math.min(at / this.#scale, this.#last);
    if (this.follows && this.#top < before - 0.5) this.#follows(false);
    else if (!this.follows && !this.store.ended && this.#top >= this.#last - 0.5) this.#follows(true);
    this.draw();
  }

  #wheel(event) {
    if (this.#scale === ROW || event.deltaY === 0 || event.ctrlKey) return;
    event.preventDefault();
    const rows = event.deltaMode === 1 ? event.deltaY : event.deltaY / ROW;
    if (rows < 0) this.#follows(false);
    this.#move(this.#top + rows);
  }

  #follows(on) {
    if (this.follows === on) return;
    this.follows = on;
    this.region.dispatchEvent(new CustomEvent('log:follow'));
  }

  follow(on, stays = on) {
    this.#follows(stays && !this.store.ended);
    if (on) this.#toEnd();
  }

  #toEnd() {
    if (!this.#wraps) {
      this.#move(this.#last);
      return;
    }
    this.#move(Math.max(this.store.rows - this.#sight, 0));
    this.#paint();
    let room = this.region.clientHeight;
    let first = this.store.rows;
    while (first > 0 && room > 0) {
      const element = this.#lines.get(first - 1);
      if (!element) break;
      room -= element.offsetHeight;
      if (room >= 0) first -= 1;
    }
    this.#move(Math.min(first, this.store.rows - 1));
  }

  wrap(on) {
    this.#wraps = on;
    this.region.classList.toggle('wraps', on);
    this.resize();
  }

  // Brings a row into sight; `mark` also makes it the one that the address names.
  show(number, mark = false) {
    this.#follows(false);
    if (mark) this.#mark(number);
    const sight = this.#sight;
    if (number < this.#top + 1 || number > this.#top + sight - 2) this.#move(number - Math.floor(sight / 3));
    else this.draw();
  }

  get top() {
    return Math.floor(this.#top);
  }

  #mark(number) {
    this.#here = number;
    for (const [at, element] of this.#lines) element.classList.toggle('here', at === number);
  }

  draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#paint();
    });
  }

  #paint() {
    const { rows } = this.store;
    const first = Math.max(Math.floor(this.#top) - (this.#wraps ? 0 : AROUND), 0);
    const end = Math.min(Math.ceil(this.#top) + this.#sight + AROUND, rows);
    this.store.want(first, end);
    for (const [number, element] of this.#lines) {
      if (number < first || number >= end) {
        element.remove();
        this.#lines.delete(number);
      }
    }
    let at = this.window.firstChild;
    for (let number = first; number < end; number += 1) {
      let element = this.#lines.get(number);
      if (!element) {
        element = line(number);
        element.classList.toggle('here', number === this.#here);
        this.#lines.set(number, element);
      }
      const row = this.store.row(number);
      if (element.row !== row || !element.filled) {
        element.row = row;
        element.filled = true;
        fill(element.lastChild, row);
      }
      if (element === at) at = at.nextSibling;
      else this.window.insertBefore(element, at);
    }
    const offset = this.#wraps ? 0 : (first - this.#top) * ROW;
    this.window.style.transform = `translateY(${this.region.scrollTop + offset}px)`;
    this.drawn(this.#lines);
  }
}
