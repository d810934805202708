// What a page must never do, seen from outside of it: script that was not ours, dialogs, errors, broken rules of its own
// content security policy, failed requests, and requests to anybody else.

import assert from 'node:assert/strict';

export class Watch {
  faults = [];
  bytes = 0;
  #allowed = [];

  constructor(url) {
    this.origin = new URL(url).origin;
  }

  // From now on these are no faults: a test that provokes one says which.
  allow(...patterns) {
    this.#allowed.push(...patterns);
  }

  // From now on everything is a fault again.
  forbid() {
    this.#allowed = [];
  }

  fault(kind, what) {
    const words = `${kind}: ${what}`;
    if (!this.#allowed.some((pattern) => pattern.test(words))) this.faults.push(words);
  }

  none() {
    assert.deepEqual(this.faults, []);
  }

  told() {
    return this.faults.length === 0 ? 'no faults on its pages' : `faults:\n  ${this.faults.join('\n  ')}`;
  }

  async context(context) {
    // A hostile text that is run calls this.
    await context.exposeBinding('hostile', (_, what) => this.fault('hostile script ran', what));
    await context.exposeBinding('firehallViolation', (_, what) => this.fault('content security policy', what));
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) =>
        window.firehallViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
    });
    context.on('page', (page) => this.#page(page));
    context.on('request', (request) => {
      const to = new URL(request.url());
      if (to.origin !== this.origin && !['data:', 'blob:', 'about:'].includes(to.protocol)) {
        this.fault('request to another host', request.url());
      }
    });
    context.on('requestfailed', (request) => {
      // What a page no longer wants when it is left or when it cancels.
      const why = request.failure()?.errorText;
      if (why !== 'net::ERR_ABORTED') this.fault('request failed', `${request.method()} ${request.url()} ${why}`);
    });
    context.on('response', (response) => {
      if (response.status() >= 400) this.fault('answer', `${response.status()} ${response.url()}`);
    });
    context.on('requestfinished', async (request) => {
      const sizes = await request.sizes().catch(() => null);
      this.bytes += sizes?.responseBodySize ?? 0;
    });
  }

  #page(page) {
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') {
        this.fault(`console ${message.type()}`, `${message.text()} (${page.url()})`);
      }
    });
    page.on('pageerror', (error) => this.fault('error', `${error.stack} (${page.url()})`));
    page.on('crash', () => this.fault('crash', page.url()));
    page.on('dialog', async (dialog) => {
      this.fault('dialog', `${dialog.type()} ${dialog.message()}`);
      await dialog.dismiss();
    });
  }
}
