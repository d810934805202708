// A page of another origin, open in the same browser, tries what it can: it reads nothing, starts nothing, and cannot
// show a page of the server inside itself.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { script } from './lib/script.mjs';

const PAGE = '<!doctype html><html lang="en"><title>elsewhere</title><link rel="icon" href="data:,">';

await script(async ({ url, watch, open }) => {
  const foreign = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end(PAGE));
  await new Promise((done) => foreign.listen(0, '127.0.0.1', done));
  const port = foreign.address().port;
  // What Chromium says of refusals, here and in its own words; what is asserted below is what the page got.
  watch.allow(/^request to another host: http:\/\/(127\.0\.0\.1|localhost):/, /^answer: 403 /,
    /^request failed: .* net::ERR_(FAILED|BLOCKED_BY_)/, /^console error: .*(CORS policy|status of 403|ERR_FAILED)/);
  // Another port of this machine is another origin; another name for it is another site too.
  for (const host of ['127.0.0.1', 'localhost']) {
    const page = await open();
    const refused = [];
    page.on('response', (response) => {
      if (response.url().startsWith(url)) refused.push(`${new URL(response.url()).pathname} ${response.status()}`);
    });
    await page.goto(`http://${host}:${port}/`);
    const results = await page.evaluate(async (url) => {
      const tried = [];
      const attempt = async (path, options) => {
        try {
          const response = await fetch(url + path, options);
          tried.push(`${path}: ${response.type} ${response.status}`);
        } catch (error) {
          tried.push(`${path}: ${error.name}`);
        }
      };
      const framed = new Uint8Array(5);
      const grpc = { 'content-type': 'application/grpc-web+proto' };
      await attempt('/firehall.v1.RunService/List', { method: 'POST', headers: grpc, body: framed });
      await attempt('/healthz', {});
      // Without asking first: what it sends must do nothing, and it sees nothing of the answer.
      const blind = { method: 'POST', mode: 'no-cors', body: '{"title":"from elsewhere","severity":"critical"}' };
      await attempt('/webhook/incident-response', blind);
      await attempt('/firehall.v1.RunService/Start', { ...blind, body: framed });
      return tried;
    }, url);
    assert.deepEqual(results, [
      '/firehall.v1.RunService/List: TypeError',
      '/healthz: TypeError',
      '/webhook/incident-response: opaque 0',
      '/firehall.v1.RunService/Start: opaque 0',
    ], host);
    // Chromium shows the answers to what was sent without asking, not those that it kept from the page.
    assert.deepEqual(refused.splice(0).sort(), ['/firehall.v1.RunService/Start 403', '/webhook/incident-response 403'], host);
    await page.evaluate((url) => {
      document.body.innerHTML = `<iframe src="${url}/healthz"></iframe><a href="${url}/healthz">health</a>`;
    }, url);
    await page.waitForFunction(() => performance.getEntriesByType('resource').some((one) => one.initiatorType === 'iframe'));
    assert.deepEqual(refused.splice(0), ['/healthz 403'], `${host}: framed`);
    // A link may be followed.
    await page.getByRole('link', { name: 'health' }).click();
    await page.waitForURL(`${url}/healthz`);
    assert.equal(refused[0], '/healthz 200', `${host}: followed`);
  }
  foreign.close();
  watch.none();
});
