// What a step left: listed on its page, got by a click with the bytes that it has, and not run whatever it says it is. The
// log of the service beside the step is a click away.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { script } from './lib/script.mjs';

await script(async ({ url, given, watch, open, shot }) => {
  const page = await open({ acceptDownloads: true });
  const step = `${url}/runs/${given.run}/steps/dump`;
  await page.goto(step);
  const section = page.locator('section[aria-labelledby=artifacts]');
  assert.match(await section.innerText(), /Artifacts 2[^]*odd[^]*application\/x-tar[^]*page[^]*text\/html[^]*36 bytes/);
  await shot(page, 'listed', { fullPage: true });

  const get = async (name) => {
    const [download] = await Promise.all([
      page.waitForEvent('download'), section.getByRole('link', { name, exact: true }).click(),
    ]);
    return [download.suggestedFilename(), await readFile(await download.path(), 'latin1')];
  };
  assert.deepEqual(await get('page'), ['dump-page', '<script>hostile("artifact")</script>']);
  const [name, tar] = await get('odd');
  assert.equal(name, 'dump-odd.tar');
  for (const text of ['<img src=x onerror=hostile(1)>', '"; rm -rf x']) assert(tar.includes(text), `the archive has ${text}`);
  assert.equal(page.url(), step, 'nothing was opened');

  // As a page of its own it would be text of a workflow in our origin.
  const answer = await page.request.get(`${url}/runs/${given.run}/artifacts/dump/page?attempt=1`);
  assert.equal(answer.headers()['content-type'], 'application/octet-stream');
  assert.match(answer.headers()['content-disposition'], /^attachment/);
  assert.equal(answer.headers()['x-content-type-options'], 'nosniff');

  await page.getByRole('link', { name: 'web', exact: true }).click();
  await page.locator('#log').getByText("<script>hostile('service')</script>").waitFor();
  watch.none();
});
