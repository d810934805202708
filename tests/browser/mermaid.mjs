// Every diagram of the documents, drawn by Mermaid itself: what it cannot read, GitHub cannot show.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { script } from './lib/script.mjs';

const library = readFileSync(new URL('./node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js', import.meta.url), 'utf8');

await script(async ({ given, open, shot }) => {
  const page = await open({ viewport: { width: 1400, height: 1000 } });
  await page.setContent('<!doctype html><title>diagrams</title><main></main>');
  await page.addScriptTag({ content: library });
  await page.evaluate(() => globalThis.mermaid.initialize({ startOnLoad: false, securityLevel: 'strict' }));
  for (const [n, { at, text }] of given.diagrams.entries()) {
    const drawn = await page.evaluate(async ([id, source]) => {
      try {
        const { svg } = await globalThis.mermaid.render(id, source);
        document.querySelector('main').innerHTML = svg;
        return { labels: document.querySelector('main').textContent.trim().length };
      } catch (error) {
        return { error: String(error.message ?? error) };
      }
    }, [`d${n}`, text]);
    assert(!drawn.error, `${at}: ${drawn.error}`);
    assert(drawn.labels > 0, `${at}: nothing was drawn`);
    await shot(page, at.replaceAll('/', '-').replace(':', '-'), { fullPage: true });
  }
});
