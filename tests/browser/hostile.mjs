// Every page with hostile text on it, on a desk and on a phone. That none of it is run, fetched or asked is seen by
// lib/watch.mjs; here: it stands there as text, links lead where they may, and the layout holds.

import assert from 'node:assert/strict';
import { DESK, PHONE, script } from './lib/script.mjs';
import { crawl, starts } from './lib/crawl.mjs';
import { wide } from './lib/layout.mjs';

// What reorders or hides text, and what steers terminals; line breaks and tabs are fine.
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/u;

await script(async ({ url, given, watch, open, shot }) => {
  const page = await open();
  const all = [...starts(given), ...given.incidents.map((id) => `/incidents/${id}`), '/workflows/echoes'];
  for (const run of given.echoes) {
    all.push(`/runs/${run}`, `/runs/${run}/steps/show`, `/runs/${run}/history`);
    for (const stream of ['stdout', 'stderr']) all.push(`/runs/${run}/logs?step=show&attempt=1&stream=${stream}`);
  }
  const wrong = [];
  const texts = new Map();
  await crawl(page, url, all, async (page, kind, many) => {
    const path = page.url().slice(url.length);
    for (const [size, viewport] of [['desk', DESK], ['phone', PHONE]]) {
      await page.setViewportSize(viewport);
      wrong.push(...(await wide(page)).map((what) => `${path} ${size}: ${what}`));
      const slug = kind.replaceAll(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '') || 'home';
      if (many <= 6) await shot(page, `${slug}-${many}-${size}`);
    }
    await page.setViewportSize(DESK);
    texts.set(path, await page.evaluate(() => document.body.textContent));
    wrong.push(...(await inspect(page, UNSAFE.source)).map((what) => `${path}: ${what}`));
    // What shows itself to a pointer or takes the focus has had its chance.
    await page.mouse.move(640, 300);
    for (let n = 0; n < 3; n += 1) await page.keyboard.press('Tab');
  });
  assert.equal(wrong.length, 0, `${wrong.length} wrong:\n${wrong.join('\n')}`);

  // Each as its author wrote it; the output is JSON, where quotes have a backslash.
  const [script, image] = given.texts;
  const said = (path, text) => assert(texts.get(path).includes(text), `${path} does not show ${text}`);
  for (const text of [script, image]) said(`/incidents/${given.incidents[0]}`, text);
  await page.setViewportSize(PHONE);
  await page.goto(`${url}/incidents/${given.incidents[1]}`);
  const heading = page.locator('h1');
  const height = async () => (await heading.boundingBox()).height;
  assert(await height() <= PHONE.height / 4, `a long title is shortened: ${await height()} px`);
  await shot(page, 'long-title');
  await page.getByText('Show the whole title').click();
  assert.equal(await heading.evaluate((h1) => h1.scrollHeight > h1.clientHeight + 1), false, 'all of it is seen');
  assert(await height() > PHONE.height / 4);
  await page.getByText('Shorten the title').click();
  assert(await height() <= PHONE.height / 4);
  await page.setViewportSize(DESK);
  for (const run of given.echoes) said(`/runs/${run}/steps/show`, script);
  for (const run of given.echoes) {
    await page.goto(`${url}/runs/${run}/logs?step=show&attempt=1&stream=stdout`);
    await page.locator('#log').getByText('<script>hostile("log")</script>').waitFor();
  }
  await shot(page, 'log-end');
  watch.none();
});

async function inspect(page, unsafe) {
  return page.evaluate((unsafe) => {
    const wrong = [];
    for (const link of document.querySelectorAll('a, area, form')) {
      const to = link.href?.baseVal ?? link.href ?? link.action ?? '';
      const { protocol, username, origin } = new URL(to || '#', document.baseURI);
      if (!['http:', 'https:', 'mailto:', 'slack:'].includes(protocol)) wrong.push(`leads to ${to.slice(0, 80)}`);
      if (username) wrong.push(`a link with a user: ${to.slice(0, 80)}`);
      if (origin !== location.origin && !/noreferrer/.test(link.rel)) wrong.push(`without noreferrer: ${to.slice(0, 80)}`);
    }
    for (const one of document.querySelectorAll('*')) {
      for (const { name } of one.attributes) if (/^on/i.test(name)) wrong.push(`${name} on ${one.nodeName}`);
    }
    const found = document.querySelectorAll('body script, body style, iframe, object, embed, meta[http-equiv=refresh]');
    wrong.push(...[...found].map((one) => `${one.outerHTML.slice(0, 120)}`));
    const odd = document.documentElement.textContent.match(new RegExp(unsafe, 'u'));
    if (odd) wrong.push(`U+${odd[0].codePointAt(0).toString(16)} in …${odd.input.slice(Math.max(0, odd.index - 40), odd.index + 20)}…`);
    return wrong;
  }, unsafe);
}
