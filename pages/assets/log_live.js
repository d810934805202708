// Hears how long a log is by now. What it says is asked for elsewhere, so nothing is missed by one who was away.
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000];

export function grow(store) {
  let source;
  let failures = 0;

  function close() {
    source?.close();
    source = undefined;
  }

  // The attempt ended: what stands above its log is made anew.
  async function settle() {
    try {
      const answer = await fetch(location.href, { headers: { accept: 'text/html' }, cache: 'no-store' });
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const [fresh, here] = [page, document].map((one) => one.querySelector('.facts .status'));
      if (answer.ok && fresh && here) here.replaceWith(fresh);
      if (answer.ok) document.title = page.title;
      const [icon, now] = [document, page].map((one) => one.querySelector('link[rel="icon"]'));
      if (answer.ok && icon && now) icon.setAttribute('href', now.getAttribute('href'));
    } catch {
      // It stays as it is until the page is loaded again.
    }
  }

  function open() {
    if (source || document.hidden || store.ended) return;
    source = new EventSource(store.address('events', `bytes=${store.bytes}`));
    source.addEventListener('log', (event) => {
      failures = 0;
      store.tell(JSON.parse(event.data));
      if (store.ended) settle();
    });
    source.addEventListener('end', close);
    source.addEventListener('error', () => {
      close();
      const pause = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)];
      failures += 1;
      setTimeout(open, pause);
    });
  }

  document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
  addEventListener('pagehide', close);
  addEventListener('pageshow', (event) => event.persisted && open());
  open();
}
