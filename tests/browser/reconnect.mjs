// The server is killed and comes back: the page says so, goes on by itself, and shows what happened meanwhile. A stream
// that goes on by Last-Event-ID has every event once.

import assert from 'node:assert/strict';
import { meet, script } from './lib/script.mjs';

await script(async ({ url, given, watch, open, shot }) => {
  const page = await open();
  await page.goto(`${url}/runs/${given.run}`);
  const node = (name) => page.locator('#graph').getByRole('link', { name });
  await node(/^first.*running/).waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  await page.evaluate((run) => {
    window.kept = true;
    window.ids = [];
    const source = new EventSource(`/live?after=0&run=${run}`);
    source.addEventListener('change', (event) => window.ids.push(event.lastEventId));
  }, given.run);
  await page.waitForFunction(() => window.ids.length >= 4);
  // What a browser says of a server that is gone.
  watch.allow(/ERR_(CONNECTION_REFUSED|CONNECTION_RESET|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE|NETWORK_CHANGED)/);
  await meet('watches the run');
  await page.getByText(/connection lost/i).waitFor();
  await shot(page, 'lost');
  const { cursors, outcome } = await meet('sees that the connection is lost');
  await node(/^second.*succeeded/).waitFor();
  await page.getByText(outcome).first().waitFor();
  assert.equal(await page.evaluate(() => window.kept), true, 'without a reload');
  await page.waitForFunction((count) => window.ids.length >= count, cursors.length);
  assert.deepEqual(await page.evaluate(() => window.ids), cursors, 'nothing missed, nothing doubled');
  assert.doesNotMatch(await page.locator('#liveness').innerText(), /lost/i);
  watch.forbid();
  await page.goto(`${url}/runs/${given.run}/history`);
  const seqs = await page.locator('.events .seq').allInnerTexts();
  assert.deepEqual(seqs.map(Number), cursors.map((_, n) => n + 1), 'the history is whole');
});
