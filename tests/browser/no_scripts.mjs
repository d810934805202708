// Without JavaScript every page can be read and every link followed.

import assert from 'node:assert/strict';
import { PHONE, script } from './lib/script.mjs';
import { crawl, starts } from './lib/crawl.mjs';

await script(async ({ url, given, open, shot }) => {
  const page = await open({ javaScriptEnabled: false, viewport: PHONE });
  const texts = new Map();
  const kinds = await crawl(page, url, starts(given), async (page) => {
    const path = page.url().slice(url.length);
    const main = await page.locator('main').innerText();
    assert.equal(await page.locator('h1').count(), 1, path);
    assert(main.length > 20, `${path}: ${main}`);
    assert.doesNotMatch(main, /enable javascript/i, path);
    texts.set(path, main);
  });
  console.log(`pages: ${kinds.join(' ')}`);

  const says = (path, ...words) => {
    for (const word of words) assert(texts.get(path).includes(word), `${path} does not say ${word}:\n${texts.get(path)}`);
  };
  says('/incidents', 'Checkout latency is up', 'critical', 'open');
  says(`/incidents/${given.incident}`, 'Checkout latency is up', 'checks on 3 hosts', 'web-1', 'oncall-backend', 'in the room');
  says('/runs', 'succeeded', 'failed', 'cancelled', 'states');
  says(`/runs/${given.live}`, 'prints', 'succeeded', 'skipped', 'queued', 'waits for an agent: no agent fits: no label host=nowhere');
  says(`/runs/${given.doubt}`, 'in doubt');
  says(`/runs/${given.failed}`, 'breaks', 'exit');
  says(`/runs/${given.live}/steps/prints`, 'answer', '42');
  says(`/runs/${given.live}/logs?step=prints&attempt=1&stream=stdout`, 'green and red', '300');
  says(`/runs/${given.live}/history`, 'run.started');
  says('/agents', 'near', 'connected', 'lost', 'disconnected');
  says('/workflows/states', 'name: states');
  await page.goto(`${url}/runs/${given.live}`);
  assert.equal(await page.locator('svg#graph').isVisible(), true, 'the graph needs no script');
  await shot(page, 'run', { fullPage: true });
});
