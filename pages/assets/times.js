// Keeps relative times true, by the server's clock: its instant stands in the footer.
const seen = document.querySelector('.bottom time');
let base = Date.parse(seen?.dateTime ?? '') - performance.now();

function now() {
  return base + performance.now();
}

// The page was fetched anew: its footer has a newer instant.
export function saw(dateTime) {
  const at = Date.parse(dateTime);
  if (!Number.isNaN(at)) base = at - performance.now();
}

// The words of pages/src/parts/time.rs.
function relative(ms) {
  const past = Math.abs(ms);
  const [min, h] = [Math.floor(past / 60_000), Math.floor(past / 3_600_000)];
  let text = `${Math.floor(h / 24)} d`;
  if (h === 0) text = min === 0 ? `${Math.floor(past / 1000)} s` : `${min} min`;
  else if (h < 48) text = `${h} h`;
  return ms < 0 ? `in ${text}` : `${text} ago`;
}

function refresh() {
  if (document.hidden || Number.isNaN(base)) return;
  for (const time of document.querySelectorAll('time:not([data-exact], [data-clock])')) {
    const text = relative(now() - Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}

export function tick() {
  refresh();
  setInterval(refresh, 1000);
  document.addEventListener('visibilitychange', refresh);
}
