// Without JavaScript: an incident is refused, then opened; a run is started and one is cancelled.

import assert from 'node:assert/strict';
import { PHONE, script } from './lib/script.mjs';
import { refused } from './lib/forms.mjs';

await script(async ({ url, given, watch, open, shot }) => {
  const page = await open({ javaScriptEnabled: false, viewport: PHONE });
  await page.goto(`${url}/incidents`);
  await page.getByRole('link', { name: 'Open an incident' }).click();
  await page.getByLabel('Title').fill(' ');
  await page.getByLabel('Severity').selectOption('low');
  await page.getByLabel('Description').fill('kept');
  const send = page.getByRole('button', { name: 'Open the incident' });
  await refused(page, watch, send, 'Title', /required/);
  assert.equal(await page.getByLabel('Description').inputValue(), 'kept');
  await shot(page, 'refused', { fullPage: true });
  await page.getByLabel('Title').fill(given.title);
  // Nothing on the page keeps a second click away: the form's key does.
  await send.dblclick();
  await page.waitForURL(/\/incidents\/inc_/);
  assert.match(await page.locator('main').innerText(), new RegExp(given.title));

  await page.goto(`${url}/workflows/greets/run`);
  await page.getByLabel('who').fill('plain');
  await page.getByLabel('Alert').fill('{"title": "x", "severity": "low"}');
  await page.getByRole('button', { name: 'Start the run' }).click();
  await page.waitForURL(/\/runs\/run_/);

  await page.goto(`${url}/runs/${given.sleeps}`);
  await page.getByRole('link', { name: 'Cancel', exact: true }).click();
  await page.getByRole('button', { name: 'Cancel the run' }).click();
  await page.waitForURL(`${url}/runs/${given.sleeps}`);
  assert.match(await page.locator('main').innerText(), /Cancel asked for by/);
  await shot(page, 'cancelling', { fullPage: true });
});
