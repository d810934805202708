// axe-core on every page that links lead to: no violation of WCAG 2.1 A and AA nor of axe's best practices, nothing that
// scrolls sideways, no place of the navigation that is cut, no state without a word. `given.look` is one of LOOKS.

import assert from 'node:assert/strict';
import axe from 'axe-core';
import { DESK, PHONE, script } from './lib/script.mjs';
import { crawl, starts } from './lib/crawl.mjs';
import { cutPlaces, wide, wordless } from './lib/layout.mjs';

const RULES = { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] };
// What depends on colours; the others are the same in every scheme.
const COLOURS = { type: 'rule', values: ['color-contrast', 'link-in-text-block'] };
// Whatever is wrong in one scheme and size only is so by its colours: each scheme once with all rules, and the desk, where most
// is seen at once, in both.
const LOOKS = {
  desk: { viewport: DESK, colorScheme: 'light', rules: RULES },
  night: { viewport: DESK, colorScheme: 'dark', rules: COLOURS },
  phone: { viewport: PHONE, colorScheme: 'dark', rules: RULES },
};

await script(async ({ url, given, open, shot }) => {
  const { viewport, colorScheme, rules } = LOOKS[given.look];
  const page = await open({ viewport, colorScheme });
  const wrong = [];
  const kinds = await crawl(page, url, starts(given), async (page, kind, many) => {
    await page.evaluate(axe.source);
    const name = `${kind.replaceAll(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '') || 'home'}-${many}`;
    await shot(page, `${name}-${given.look}`, { fullPage: true });
    const found = await violations(page, rules);
    if (rules === RULES) found.push(...await wide(page), ...await wordless(page), ...await cutPlaces(page));
    wrong.push(...found.map((what) => `${page.url().slice(url.length)}: ${what}`));
  });
  console.log(`pages: ${kinds.join(' ')}`);
  assert.equal(wrong.length, 0, `${wrong.length} wrong:\n${wrong.join('\n')}`);
});

async function violations(page, runOnly) {
  const { violations } = await page.evaluate((runOnly) => window.axe.run({ runOnly, resultTypes: ['violations'] }), runOnly);
  return violations.flatMap(({ id, help, nodes }) => nodes.slice(0, 3).map((node) =>
    `${id} (${help}) ${node.target.join(' ')}: ${node.html.slice(0, 200)} ${node.any.concat(node.all).map((one) => one.message).join('; ').slice(0, 300)}`));
}
