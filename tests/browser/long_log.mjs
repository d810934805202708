// A log of 100,000 lines: one list that scrolls from its first line to its last, of which a bounded part is held.

import assert from 'node:assert/strict';
import { script } from './lib/script.mjs';
import { weigh, within } from './lib/weight.mjs';

const LIMITS = { elements: 6_000, bytes: 2_000_000 };

await script(async ({ url, given, open, shot }) => {
  const page = await open();
  await weigh(page);
  const log = page.locator('#log');
  const line = (n) => log.getByText(n === 77_777 ? 'line 77777 needle' : `line ${n}`, { exact: true });
  await page.goto(`${url}/runs/${given.run}/logs?step=prints&attempt=1&stream=stdout`);
  await line(100_000).waitFor();
  await within(page, 'end', LIMITS);
  await shot(page, 'end');

  // To its beginning, to its middle, and by the wheel.
  const scroll = (part) => log.evaluate((log, part) => { log.scrollTop = (log.scrollHeight - log.clientHeight) * part; }, part);
  await scroll(0);
  await line(1).waitFor();
  await scroll(0.5);
  await page.waitForFunction(() => /line (49|50)\d{3}/.test(document.querySelector('#log').textContent));
  await log.hover();
  for (let n = 0; n < 40; n += 1) {
    await page.mouse.wheel(0, 1_500);
    await page.waitForTimeout(20);
  }
  await within(page, 'scrolled', { ...LIMITS, bytes: 6_000_000 });
  await shot(page, 'middle');

  // Found among all lines, wherever the list stands.
  const search = page.getByRole('searchbox', { name: 'Search the log' });
  await search.fill('needle');
  await search.press('Enter');
  await line(77_777).waitFor();
  await page.locator('#log-count').getByText(/1/).first().waitFor();
  assert(await line(77_777).isVisible());
  await within(page, 'searched', { ...LIMITS, bytes: 12_000_000 });
  await shot(page, 'found');
});
