// What a page weighs: elements, bytes fetched, and the longest task of its scripts and layout.

import assert from 'node:assert/strict';

// Generous: the machine may be busy with other things. What is bounded tightly are counts.
const LONGEST_TASK_MS = 2_000;

export async function weigh(page) {
  await page.addInitScript(() => {
    window.longest = 0;
    new PerformanceObserver((list) => {
      for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
    }).observe({ type: 'longtask', buffered: true });
  });
}

// Tells and checks; `limits` is { elements, bytes }, bytes since the page was opened.
export async function within(page, what, limits) {
  const { elements, bytes, longest, loaded } = await page.evaluate(() => {
    const parts = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
    return {
      elements: document.querySelectorAll('*').length,
      bytes: parts.reduce((sum, part) => sum + part.encodedBodySize, 0),
      longest: window.longest,
      loaded: performance.getEntriesByType('navigation')[0].loadEventEnd,
    };
  });
  console.log(`${what}: ${elements} elements, ${bytes} bytes, loaded after ${Math.round(loaded)} ms, longest task ${Math.round(longest)} ms`);
  assert(elements <= limits.elements, `${what}: ${elements} elements`);
  assert(bytes <= limits.bytes, `${what}: ${bytes} bytes`);
  assert(longest <= LONGEST_TASK_MS, `${what}: a task of ${longest} ms`);
}
