// A run of thousands of steps: the page holds a bounded part of it, and every step can be found.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { call } from './page/wire.js';
import { PHONE, script } from './lib/script.mjs';
import { weigh, within } from './lib/weight.mjs';

const LIMITS = { elements: 6_000, bytes: 2_000_000 };

await script(async ({ url, given, open, shot }) => {
  const run = await start(url, await readFile(given.definition, 'utf8'));
  const page = await open();
  await weigh(page);
  await page.goto(`${url}/runs/${run}`);
  await page.locator('#graph .node').first().waitFor();
  await within(page, 'overview', LIMITS);
  await shot(page, 'overview');
  for (let n = 0; n < 20; n += 1) await page.mouse.wheel(0, 2_000);
  await within(page, 'overview, scrolled', LIMITS);

  const search = page.getByRole('searchbox').first();
  await search.fill('s09876');
  await search.press('Enter');
  await page.getByRole('link', { name: /s09876/ }).first().waitFor();
  await within(page, 'found', LIMITS);
  await shot(page, 'found', { fullPage: true });
  await page.locator('[data-rows]').getByRole('link', { name: /s09876/ }).click();
  await page.waitForURL(`${url}/runs/${run}/steps/s09876`);
  assert.match(await page.locator('main').innerText(), /s09875/, 'what it needs');
  await within(page, 'step', LIMITS);

  await page.goto(`${url}/runs/${run}/history`);
  await within(page, 'history', LIMITS);
  await page.setViewportSize(PHONE);
  await page.goto(`${url}/runs/${run}`);
  await within(page, 'overview on a phone', LIMITS);
  await shot(page, 'phone');

  // Ten thousand steps end at once, and the page that is open says so.
  await page.evaluate(() => { window.kept = true; });
  const asked = Date.now();
  await rpc(url, 'Cancel', new BinaryWriter().tag(1, 2).string(run));
  await page.locator('.facts').getByText('cancelled').first().waitFor();
  console.log(`cancelled and shown after ${Date.now() - asked} ms`);
  assert.equal(await page.evaluate(() => window.kept), true, 'without a reload');
  await within(page, 'cancelled', LIMITS);
});

// RunService.Start with the definition's source (field 1); answers the run's id (field 1).
async function start(url, source) {
  const reader = new BinaryReader(await rpc(url, 'Start', new BinaryWriter().tag(1, 2).string(source)));
  reader.tag();
  return reader.string();
}

async function rpc(url, method, request) {
  for await (const { message, trailers } of call(`${url}/firehall.v1.RunService/${method}`, request.finish())) {
    if (trailers) throw new Error(JSON.stringify(trailers));
    return message;
  }
  throw new Error('no answer');
}
