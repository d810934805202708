// One script against one server: a browser of its own, an end in any case, and a fault for everything that a page must
// not do. A script is started by the Rust test of its name with one argument, JSON: url, shots, and what the test adds.

import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { Watch } from './watch.mjs';

// Chromium calls home at its start unless it is told not to.
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
// All of it, browser included.
const WHOLE_MS = 150_000;
// One wait for something on a page.
export const WAIT_MS = 20_000;

export const PHONE = { width: 360, height: 740 };
export const DESK = { width: 1280, height: 900 };

const given = JSON.parse(process.argv[2]);
const name = process.argv[1].split('/').pop().replace(/\.mjs$/, '');
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// Tells the test that it is this far, and waits until the test has done its part; answers what the test says.
export async function meet(place) {
  process.stdout.write(`@ ${place}\n`);
  const answer = await answers.next();
  assert(!answer.done, `the test ended while the script waited at: ${place}`);
  return JSON.parse(answer.value);
}

// Runs `main` with { url, given, watch, open, shot }.
export async function script(main) {
  const overdue = setTimeout(() => end(3, `${name} did not end within ${WHOLE_MS / 1000} s`), WHOLE_MS);
  mkdirSync(given.shots, { recursive: true });
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium', args: FLAGS, timeout: 60_000,
  });
  const watch = new Watch(given.url);
  try {
    await main({
      url: given.url,
      given,
      watch,
      open: (options) => open(browser, watch, options),
      shot: (page, what, options) => shot(page, `${name}-${what}`, options),
    });
    watch.none();
  } catch (error) {
    const pages = browser.contexts().flatMap((context) => context.pages());
    for (const [n, page] of pages.entries()) {
      await shot(page, `${name}-failed-${n}`).catch((lost) => console.error(`no screenshot: ${lost.message}`));
      console.error(`page ${n}: ${page.url()} -> ${join(given.shots, `${name}-failed-${n}.png`)}`);
    }
    console.error(watch.told());
    await browser.close();
    end(1, error.stack);
  }
  await browser.close();
  clearTimeout(overdue);
  end(0, 'ok');
}

// A page in a profile of its own: { viewport, colorScheme, javaScriptEnabled }.
async function open(browser, watch, options = {}) {
  const context = await browser.newContext({
    viewport: DESK, locale: 'en-GB', timezoneId: 'UTC', reducedMotion: 'reduce', ...options,
  });
  context.setDefaultTimeout(WAIT_MS);
  await watch.context(context);
  return context.newPage();
}

// For people to look at: nothing is compared with it.
async function shot(page, what, options = {}) {
  await page.screenshot({ path: join(given.shots, `${what}.png`), ...options });
}

function end(code, words) {
  (code === 0 ? console.log : console.error)(words);
  process.exit(code);
}
