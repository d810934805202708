// An alert arrives while the list of incidents is open; the incident's page fills up while its run works.

import assert from 'node:assert/strict';
import { meet, script } from './lib/script.mjs';

await script(async ({ url, open, shot }) => {
  const page = await open();
  await page.goto(`${url}/incidents`);
  await page.getByText(/no incident/i).waitFor();
  // A page that is loaded anew forgets this.
  await page.evaluate(() => { window.kept = true; });
  await shot(page, 'empty');
  const { incident, run } = await meet('looks at the empty list');
  await page.getByRole('link', { name: 'Checkout latency is up' }).waitFor();
  assert.equal(await page.evaluate(() => window.kept), true, 'it came without a reload');
  await shot(page, 'list');

  await page.getByRole('link', { name: 'Checkout latency is up' }).click();
  await page.waitForURL(`${url}/incidents/${incident}`);
  await page.evaluate(() => { window.kept = true; });
  const outcome = await meet('has opened the incident');
  const main = page.locator('main');
  for (const text of ['critical', 'INC-4711', 'web-1', 'db-1', 'team:backend', 'app.example.com']) {
    await main.getByText(text).first().waitFor();
  }
  // People, room and findings come as the run goes on, with nobody touching the page.
  for (const text of [/oncall-backend/, /in the room/, /^inc-inc-4711/, /checks on 3 hosts/, new RegExp(outcome)]) await main.getByText(text).first().waitFor();
  assert.equal(await page.evaluate(() => window.kept), true, 'it filled up without a reload');
  await shot(page, 'whole', { fullPage: true });

  await main.locator(`a[href^="/runs/${run}"]`).first().click();
  await page.waitForURL((to) => to.pathname.startsWith(`/runs/${run}`));
  await page.goto(`${url}/runs/${run}`);
  await page.locator('#graph a.node').first().waitFor();
  const [height, seen] = await page.locator('#canvas').evaluate((canvas) => [canvas.scrollHeight, canvas.clientHeight]);
  assert(height <= seen, `the shipped runbook's graph is seen whole: ${height} px in ${seen}`);
  await shot(page, 'run', { fullPage: true });
});
