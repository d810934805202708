// A page of the server's own origin that the server does not have: files of this folder under /__test/, given to the
// browser before it asks the network. What the page calls goes to the real server.

import { readFile } from 'node:fs/promises';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(dirname(fileURLToPath(import.meta.url)));
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.json': 'application/json' };

export async function serveOwn(page, origin) {
  await page.context().route(`${origin}/__test/**`, async (route) => {
    const path = normalize(new URL(route.request().url()).pathname.slice('/__test/'.length));
    await route.fulfill({
      contentType: TYPES[extname(path)] ?? 'application/octet-stream',
      body: await readFile(join(HERE, path)),
    });
  });
}
