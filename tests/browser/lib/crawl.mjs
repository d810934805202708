// Every page that links lead to: of each kind what a script asks for, so that a kind of page cannot be forgotten.

import assert from 'node:assert/strict';

const PAGES = 90;

// What pages of a kind have in common: the path without ids and names, the query without values.
export function kind(url) {
  const { pathname, searchParams } = new URL(url);
  const path = pathname
    .replace(/\/(inc|run|agt|alr)_[0-9a-z]+/g, '/$1')
    .replace(/\/(steps|workflows)\/[^/]+/, '/$1/one');
  const keys = [...new Set(searchParams.keys())].sort();
  return keys.length === 0 ? path : `${path}?${keys.join('&')}`;
}

// Visits what links of the given pages lead to, and so on; `visit` is called on each page with its kind; of a kind as many as `ofAKind`
// and those that it starts from. Links that lead to files are asked for, too. Answers the kinds.
export async function crawl(page, origin, starts, visit, ofAKind = 1) {
  const waiting = starts.map((path) => new URL(path, origin).href);
  const seen = new Set(waiting);
  const kinds = new Map();
  while (waiting.length > 0) {
    const url = waiting.shift();
    assert(seen.size < 5_000, 'links without end');
    // What was asked for by name is seen in any case.
    const many = (kinds.get(kind(url)) ?? 0) + 1;
    if (many > ofAKind && !starts.includes(url.slice(origin.length))) continue;
    kinds.set(kind(url), many);
    const answer = await page.goto(url);
    assert.equal(answer.status(), 200, url);
    const headers = answer.headers();
    assert.equal(headers['x-content-type-options'], 'nosniff', url);
    assert.match(headers['content-security-policy'] ?? '', /default-src 'none'/, url);
    // An alert as it came, say: not a page.
    if (!headers['content-type'].startsWith('text/html')) {
      assert.match(headers['content-type'], /^(application\/json|text\/plain)\b/, url);
      continue;
    }
    await visit(page, kind(url), many);
    const links = await page.locator('a[href]').evaluateAll((all) => all.map((link) =>
      ({ href: link.href?.baseVal ? new URL(link.href.baseVal, document.baseURI).href : link.href, file: link.hasAttribute('download') })));
    for (const { href, file } of links) {
      const to = new URL(href);
      to.hash = '';
      if (to.origin !== origin || seen.has(to.href)) continue;
      seen.add(to.href);
      if (file) {
        const got = await page.context().request.get(to.href);
        assert.equal(got.status(), 200, to.href);
        assert.match(got.headers()['content-disposition'] ?? '', /^attachment/, to.href);
      } else {
        waiting.push(to.href);
      }
    }
    const visited = [...kinds.values()].reduce((sum, one) => sum + one, 0);
    assert(visited <= PAGES, `more than ${PAGES} pages: ${[...kinds.keys()].join(' ')}`);
  }
  return [...kinds.keys()].sort();
}

// Pages that must be among those that are found.
export function starts(given) {
  return [
    '/', '/incidents', `/incidents/${given.incident}`, '/runs', `/runs/${given.response}`, `/runs/${given.live}`,
    `/runs/${given.failed}`, `/runs/${given.cancelled}`, `/runs/${given.doubt}`, `/runs/${given.doubt}/steps/charge`,
    `/runs/${given.live}/steps/prints`, `/runs/${given.live}/steps/each-host`, `/runs/${given.live}/logs?step=prints&attempt=1&stream=stdout`,
    `/runs/${given.live}/history`, '/agents', '/workflows', '/workflows/states',
  ];
}
