// A run from the list to a line of its log, while it works.

import assert from 'node:assert/strict';
import { meet, script } from './lib/script.mjs';

await script(async ({ url, open, shot }) => {
  const page = await open();
  const keep = () => page.evaluate(() => { window.kept = true; });
  const kept = async (what) => assert.equal(await page.evaluate(() => window.kept), true, `${what} without a reload`);

  await page.goto(`${url}/runs`);
  await keep();
  const run = await meet('looks at the empty list of runs');
  await page.getByRole('link', { name: /gated/ }).waitFor();
  await kept('the run came');
  await page.getByRole('link', { name: /gated/ }).click();
  await page.waitForURL(`${url}/runs/${run}`);

  // The graph, live.
  const node = (name) => page.locator('#graph').getByRole('link', { name });
  await keep();
  await node(/^first.*running/).waitFor();
  await node(/^second.*waiting/).waitFor();
  await node(/^tries.*failed/).waitFor();
  await shot(page, 'live', { fullPage: true });
  await meet('sees the first step run');
  await node(/^first.*succeeded/).waitFor();
  await node(/^second.*running/).waitFor();
  await kept('the graph changed');

  // A step: its attempts and why, its outputs.
  await node(/^tries/).click();
  await page.waitForURL(`${url}/runs/${run}/steps/tries`);
  const tries = page.locator('.tries > li');
  assert.equal(await tries.count(), 2);
  for (const n of [0, 1]) assert.match(await tries.nth(n).innerText(), /failed[^]*exit 3/);
  await shot(page, 'step', { fullPage: true });
  await page.goto(`${url}/runs/${run}/steps/first`);
  assert.match(await page.locator('#output-answer').innerText(), /answer[^]*42/);

  // Its log: colours are colours, what steers a terminal is not shown.
  await page.getByRole('link', { name: /its log/ }).click();
  const log = page.locator('#log');
  // The viewer puts rows of its own in the place of the server's: between the two there is nothing to read.
  let text = '';
  for (let tries = 0; tries < 200 && !/red begins/.test(text); tries += 1) {
    await page.waitForTimeout(50);
    text = await log.innerText();
  }
  assert.match(text, /red begins/);
  const [red, plain] = await log.evaluate((log) => {
    const of = (text) => {
      const walk = document.createTreeWalker(log, NodeFilter.SHOW_TEXT);
      while (walk.nextNode()) if (walk.currentNode.data.includes(text)) return getComputedStyle(walk.currentNode.parentElement).color;
      return null;
    };
    return [of('red'), of('begins')];
  });
  assert.notEqual(red, plain, 'red is another colour');

  // A log that grows is followed.
  await page.goto(`${url}/runs/${run}/logs?step=second&attempt=1&stream=stdout`);
  await log.getByText('before 400').waitFor();
  await keep();
  const follow = page.getByLabel('Follow');
  if (!await follow.isChecked()) await follow.check();
  await meet('follows the second step\'s log');
  await log.getByText('a needle in the end').waitFor();
  assert(await log.getByText('a needle in the end').evaluate((line) => {
    const { top, bottom } = line.getBoundingClientRect();
    return top >= 0 && bottom <= innerHeight;
  }), 'the last line is in view');
  await kept('the log grew');
  await page.getByText('complete').waitFor();
  await shot(page, 'log');

  // Searched, from line to line, and a line has an address.
  const search = page.getByRole('searchbox', { name: 'Search the log' });
  await search.fill('before 39');
  await page.locator('#log-count').getByText(/11/).waitFor();
  await search.press('Enter');
  await log.getByText(/before 39\d?$/).first().waitFor();
  await shot(page, 'search');
  await page.goto(`${url}/runs/${run}/logs?step=second&attempt=1&stream=stdout#L7`);
  await log.getByText('before 7', { exact: true }).waitFor();

  // The whole history, event by event, filtered.
  await page.goto(`${url}/runs/${run}/history`);
  await page.locator('.events').getByText('run.ended').waitFor();
  await page.locator('.events summary').first().click();
  assert.match(await page.locator('.events pre').first().innerText(), /gated/);
  await shot(page, 'history');
});
