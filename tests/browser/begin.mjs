// An incident and a run by their forms: refused with the error at its field and everything kept, then done, once.

import assert from 'node:assert/strict';
import { meet, script } from './lib/script.mjs';
import { refused } from './lib/forms.mjs';

await script(async ({ url, watch, open, shot }) => {
  const page = await open();
  const field = (name) => page.getByLabel(name, { exact: false });
  await page.goto(`${url}/`);
  await page.getByRole('link', { name: 'Open an incident' }).click();
  await page.waitForURL(`${url}/incidents/new`);

  // Nothing at all: the browser does not send it and leads to the first field that lacks.
  const send = page.getByRole('button', { name: 'Open the incident' });
  await send.click();
  assert.equal(await field('Title').evaluate((one) => one === document.activeElement && !one.validity.valid), true);

  // A title of spaces: the server refuses it, and nothing that was entered is lost.
  await field('Title').fill('   ');
  await field('Severity').selectOption('high');
  await field('Known as').fill('INC-7');
  await field('Description').fill('p99 is above 2 s.\n<b>Not</b> bold.');
  await field('Tags').fill('team:backend\nenv:production');
  await field('This is an exercise').check();
  await page.getByText('Inputs of the workflows that it starts').click();
  await field('places').fill('hall\nyard');
  await refused(page, watch, send, 'Title', /required/);
  await shot(page, 'title-refused', { fullPage: true });
  assert.equal(await field('Severity').inputValue(), 'high');
  assert.equal(await field('Known as').inputValue(), 'INC-7');
  assert.equal(await field('Description').inputValue(), 'p99 is above 2 s.\n<b>Not</b> bold.');
  assert.equal(await field('Tags').inputValue(), 'team:backend\nenv:production');
  assert.equal(await field('This is an exercise').isChecked(), true);

  // An input that is no number: its part of the form is open, for the error stands in it.
  await field('Title').fill('Checkout is slow');
  await field('This is an exercise').uncheck();
  if (!await field('times').isVisible()) await page.getByText('Inputs of the workflows that it starts').click();
  assert.equal(await field('places').inputValue(), 'hall\nyard');
  await field('times').fill('two');
  await refused(page, watch, send, 'times', /"two" is not a number/);
  assert.equal(await field('times').isVisible(), true);
  await shot(page, 'input-refused', { fullPage: true });

  await field('times').fill('4');
  await send.click();
  await page.waitForURL(/\/incidents\/inc_/);
  const main = page.locator('main');
  for (const text of ['Checkout is slow', 'high', 'INC-7', 'team:backend', 'greets']) await main.getByText(text).first().waitFor();
  await shot(page, 'incident', { fullPage: true });
  await main.getByRole('link', { name: /^greets/ }).first().click();
  await page.waitForURL(/\/runs\/run_/);
  await page.locator('#graph').getByRole('link', { name: /^greet.*succeeded/ }).waitFor();
  await meet('has opened an incident');

  // The same workflow by hand: a field by each input's type, with what it is without being given.
  await page.goto(`${url}/workflows/greets`);
  await page.getByRole('link', { name: 'Run it' }).click();
  await page.waitForURL(`${url}/workflows/greets/run`);
  assert.equal(await field('who').inputValue(), 'you');
  assert.equal(await field('times').inputValue(), '2');
  await field('who').fill('"world" & <all>');
  await field('times').fill('3.5');
  await field('tone').selectOption({ label: 'cool' });
  await field('loud').selectOption({ label: 'true' });
  await field('places').fill('hall\n\n  yard  \nroof');
  await field('more').fill('{"key": }');
  const start = page.getByRole('button', { name: 'Start the run' });
  await refused(page, watch, start, 'more', /not JSON/);
  await field('more').fill('{"key": "deep"}');
  await refused(page, watch, start, 'times', /int/);
  await field('Alert').fill('{"title": ');
  await field('times').fill('3');
  await refused(page, watch, start, 'Alert', /./);
  await shot(page, 'run-refused', { fullPage: true });
  assert.equal(await field('who').inputValue(), '"world" & <all>');
  assert.equal(await field('tone').evaluate((one) => one.selectedOptions[0].label), 'cool');
  assert.equal(await field('loud').evaluate((one) => one.selectedOptions[0].label), 'true');
  await field('Alert').fill('{"title": "Something", "severity": "low"}');
  await start.dblclick();
  await page.waitForURL(/\/runs\/run_/);
  await page.locator('#graph').getByRole('link', { name: /^greet.*succeeded/ }).waitFor();
  await meet('has started a run by two clicks');
  const run = page.url();
  await page.goto(`${run}/logs?step=greet&attempt=1&stream=stdout`);
  await page.locator('#log').getByText('hello "world" & <all> 4 cool true 3 deep').waitFor();

  // Back in the history, and a reload: neither starts anything.
  await page.goBack();
  await page.reload();
  assert.equal(page.url(), run);
});
