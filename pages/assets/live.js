// Keeps a page true: on an event of the stream that it names, it is fetched anew and only what differs changes.
import { morph } from './morph.js';
import { saw } from './times.js';

// News that comes close together is fetched once, and no page is fetched more often than this.
const PAUSE_MS = 400;
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000];

const region = document.querySelector('[data-live]');
const sign = document.querySelector('#liveness');

let source;
let failures = 0;
let timer;
let fetching = false;
let again = false;

function say(text, lost = false) {
  if (!sign || sign.textContent === text) return;
  sign.textContent = text;
  sign.classList.toggle('lost', lost);
}

async function refresh() {
  timer = undefined;
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: 'text/html' }, cache: 'no-store' });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const fresh = page.querySelector('[data-live]') ?? page.querySelector('main');
    if (fresh) {
      const { live } = region.dataset;
      morph(region, fresh);
      document.title = page.title;
      const [icon, now] = [document, page].map((one) => one.querySelector('link[rel="icon"]'));
      if (icon && now && icon.getAttribute('href') !== now.getAttribute('href')) icon.setAttribute('href', now.getAttribute('href'));
      const seen = page.querySelector('.bottom time');
      const here = document.querySelector('.bottom time');
      if (seen && here) {
        here.replaceWith(seen);
        saw(seen.dateTime);
      }
      // The stream goes on from where it is; its address in the page names where a new one begins.
      if (live && region.dataset.live === undefined) close();
      document.dispatchEvent(new CustomEvent('firehall:fresh'));
    }
  } catch {
    say('Connection lost, reconnecting', true);
    again = true;
  }
  fetching = false;
  if (again) {
    again = false;
    soon(failures > 0 ? RETRY_MS.at(-1) : PAUSE_MS * 4);
  }
}

function soon(ms = PAUSE_MS) {
  timer ??= setTimeout(refresh, ms);
}

function close() {
  source?.close();
  source = undefined;
  say('');
}

function open() {
  if (source || document.hidden || !region?.dataset.live) return;
  source = new EventSource(region.dataset.live);
  source.addEventListener('open', () => {
    failures = 0;
    say('Live');
  });
  source.addEventListener('change', () => soon());
  source.addEventListener('message', () => soon());
  // Nothing follows.
  source.addEventListener('end', () => {
    close();
    soon();
  });
  source.addEventListener('error', () => {
    // Made anew by hand: the browser's own retry gives up on an answer that is not a stream, as from a proxy. What was missed
    // meanwhile comes by fetching the page.
    source?.close();
    source = undefined;
    say('Connection lost, reconnecting', true);
    const pause = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)];
    failures += 1;
    setTimeout(() => {
      if (source || document.hidden) return;
      open();
      soon();
    }, pause);
  });
}

export function follow() {
  if (!region?.dataset.live) return;
  open();
  // A browser has few connections to a server: a page that nobody sees gives its own back.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      close();
    } else {
      open();
      soon();
    }
  });
  addEventListener('pagehide', close);
  addEventListener('pageshow', (event) => {
    if (event.persisted) {
      open();
      soon();
    }
  });
  document.addEventListener('input', (event) => {
    event.target.closest?.('form')?.setAttribute('data-touched', '');
  });
}
