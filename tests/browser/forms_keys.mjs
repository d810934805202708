// An incident is opened and a run cancelled with keys alone, without looking for anything but names.

import assert from 'node:assert/strict';
import { script } from './lib/script.mjs';

const STOPS = 60;

await script(async ({ url, given, open, shot }) => {
  const page = await open();
  const keys = page.keyboard;
  const name = () => page.evaluate(() => {
    const here = document.activeElement;
    return (here.labels?.[0] ?? here).textContent.trim();
  });
  // On to the next stop of this name.
  const to = async (wanted) => {
    const passed = [];
    for (let n = 0; n < STOPS; n += 1) {
      await keys.press('Tab');
      const here = await name();
      if (wanted.test(here)) return;
      passed.push(here.slice(0, 30));
    }
    assert.fail(`no stop ${wanted} among ${passed.join(' | ')}`);
  };

  await page.goto(`${url}/`);
  await to(/^Open an incident/);
  await keys.press('Enter');
  await page.waitForURL(`${url}/incidents/new`);
  await to(/^Title/);
  await keys.type(given.title);
  await to(/^Severity/);
  await keys.type('me');
  assert.equal(await page.getByLabel('Severity').inputValue(), 'medium');
  // Letters that lead somewhere elsewhere are letters in a field.
  await to(/^Description/);
  await keys.type('g r and j');
  await to(/^This is an exercise/);
  await keys.press('Space');
  await keys.press('Space');
  await to(/^Open the incident/);
  await shot(page, 'button');
  await keys.press('Enter');
  await page.waitForURL(/\/incidents\/inc_/);
  await page.locator('main').getByText('g r and j').waitFor();

  await page.goto(`${url}/runs/${given.sleeps}`);
  await to(/^Cancel$/);
  await keys.press('Enter');
  await page.waitForURL(/\/cancel$/);
  await to(/^Why/);
  await keys.type('by keys');
  // As in any form, Enter in a line sends it.
  await keys.press('Enter');
  await page.waitForURL(`${url}/runs/${given.sleeps}`);
  await page.locator('.facts').getByText('cancelled').waitFor();
  assert.match(await page.locator('main').innerText(), /by keys/);
});
