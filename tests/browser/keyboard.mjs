// From the first page to a line of a log and to a form, with keys alone; where the focus is can be seen.

import assert from 'node:assert/strict';
import { script } from './lib/script.mjs';

await script(async ({ url, given, open, shot }) => {
  const page = await open();
  const keys = page.keyboard;
  const focused = () => page.evaluate(() => {
    const here = document.activeElement;
    const card = here.querySelector(':scope > svg > .card');
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(here);
    return {
      text: (here.getAttribute('aria-label') ?? here.textContent ?? '').trim(),
      href: here.href?.baseVal ?? here.getAttribute('href'),
      seen: (outlineStyle !== 'none' && parseFloat(outlineWidth) > 0) || boxShadow !== 'none'
        // A card of the graph has a thicker edge instead.
        || (card !== null && parseFloat(getComputedStyle(card).strokeWidth) >= 2),
    };
  });
  await page.goto(`${url}/`);
  // Tab: over the navigation to the content, and the focus is seen at each stop.
  await keys.press('Tab');
  assert.equal((await focused()).href, '#main', 'the first stop skips the navigation');
  await shot(page, 'skip');
  await keys.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  await keys.press('Tab');
  const first = await focused();
  assert(first.seen, `the focus is not seen: ${JSON.stringify(first)}`);
  assert(first.href.startsWith('/incidents/'), JSON.stringify(first));

  // Letters lead from place to place and through rows.
  await keys.press('g');
  await keys.press('i');
  await page.waitForURL(`${url}/incidents`);
  await keys.press('j');
  assert.equal((await focused()).href, `/incidents/${given.incident}`);
  await shot(page, 'row');
  await keys.press('Enter');
  await page.waitForURL(`${url}/incidents/${given.incident}`);
  await keys.press('g');
  await keys.press('r');
  await page.waitForURL(`${url}/runs`);
  await keys.press('j');
  await keys.press('Enter');
  await page.waitForURL(`${url}/runs/${given.run}`);

  // Each step of the graph is a stop, with its name and state.
  const stops = [];
  for (let n = 0; n < 60; n += 1) {
    await keys.press('Tab');
    const here = await focused();
    assert(here.seen, `the focus is not seen: ${JSON.stringify(here)}`);
    if (here.href?.includes('/steps/')) stops.push(here.text);
    if (stops.length >= 5) break;
  }
  assert.equal(stops.length, 5, `${stops}`);
  for (const stop of stops) assert.match(stop, /succeeded|degraded|failed|skipped/);
  await shot(page, 'graph');

  // The keys are told, and typing is not mistaken for them.
  await keys.press('?');
  await page.getByRole('dialog').waitFor();
  await shot(page, 'help');
  await keys.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await keys.press('/');
  assert(await page.evaluate(() => document.activeElement.matches('input, a')), '/ leads to the filter');
});
