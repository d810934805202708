// A live run is cancelled, an ended one is run again, a step in doubt is decided, an agent is drained and gets work again.

import assert from 'node:assert/strict';
import { meet, script } from './lib/script.mjs';

await script(async ({ url, given, open, shot }) => {
  const page = await open();
  const main = page.locator('main');
  const sleeps = `${url}/runs/${given.sleeps}`;

  // Nobody who comes to the form by mistake cancels: there is a way back.
  await page.goto(sleeps);
  await page.getByRole('link', { name: 'Cancel', exact: true }).click();
  await page.waitForURL(`${sleeps}/cancel`);
  await shot(page, 'cancel');
  await page.getByRole('link', { name: 'Back', exact: true }).click();
  await page.waitForURL(sleeps);
  assert.match(await main.innerText(), /running/);
  await page.getByRole('link', { name: 'Cancel', exact: true }).click();
  await page.getByLabel('Why').fill('Not <b>today</b>');
  await page.getByRole('button', { name: 'Cancel the run' }).dblclick();
  await page.waitForURL(sleeps);
  await main.getByText('Not <b>today</b>').first().waitFor();
  await page.locator('#graph').getByRole('link', { name: /^sleep: cancelled/ }).waitFor();
  await page.locator('.facts').getByText('cancelled').waitFor();
  await shot(page, 'cancelled', { fullPage: true });

  // Again, from a step on: a run of its own, which leads to the one that it repeats.
  await page.getByRole('link', { name: 'Run again' }).click();
  await page.waitForURL(`${sleeps}/rerun`);
  await page.getByRole('checkbox', { name: 'sleep (cancelled)' }).check();
  await shot(page, 'rerun');
  await page.getByRole('button', { name: 'Start the run' }).dblclick();
  await page.waitForURL((to) => /^\/runs\/run_[0-9a-z]+$/.test(to.pathname) && to.href !== sleeps);
  const again = page.url();
  await page.locator('#graph').getByRole('link', { name: /^sleep: running/ }).waitFor();
  await meet('has run it again');
  await page.getByRole('link', { name: given.sleeps }).click();
  await page.waitForURL(sleeps);

  // In doubt: what is known, what each verdict does, and no verdict by default.
  await page.goto(`${url}/runs/${given.doubt}`);
  await page.locator('#graph').getByRole('link', { name: /^charge: in doubt/ }).click();
  await page.getByRole('link', { name: 'Decide what became of it' }).click();
  await page.waitForURL(/\/resolve\?step=charge/);
  const verdicts = page.getByRole('radio');
  assert.deepEqual(await verdicts.evaluateAll((all) => all.map((one) => one.checked)), [false, false, false]);
  await page.getByRole('button', { name: 'Decide' }).click();
  assert.equal(await verdicts.first().evaluate((one) => one.validity.valueMissing), true, 'nothing is decided by chance');
  assert.match(page.url(), /\/resolve\?/);
  await page.getByRole('radio', { name: /It succeeded/ }).check();
  await shot(page, 'decide');
  await page.getByRole('button', { name: 'Decide' }).dblclick();
  await page.waitForURL(`${url}/runs/${given.doubt}/steps/charge`);
  await page.locator('.facts').getByText('succeeded').waitFor();
  await meet('has decided');

  // An agent.
  await page.goto(`${url}/agents`);
  const agent = page.locator('.row').filter({ has: page.getByRole('link', { name: 'one', exact: true }) });
  await agent.getByRole('link', { name: 'Drain one' }).click();
  await page.getByLabel('Why').fill('New disk');
  await shot(page, 'drain');
  await page.getByRole('button', { name: 'Drain it' }).dblclick();
  await page.waitForURL(/\/agents#agt_/);
  await agent.getByText('draining').waitFor();
  await shot(page, 'draining');
  await meet('has drained the agent');
  await agent.getByRole('button', { name: /Offer it work again/ }).click();
  await agent.getByText('connected', { exact: true }).waitFor();

  // What has ended cannot be cancelled any more, and its page does not offer it.
  await page.goto(`${again}/cancel`);
  await page.getByRole('button', { name: 'Cancel the run' }).click();
  await page.waitForURL(again);
  await page.locator('.facts').getByText('cancelled').waitFor();
  assert.equal(await page.getByRole('link', { name: 'Cancel', exact: true }).count(), 0);
});
