// What all forms have in common.

import assert from 'node:assert/strict';

// Sends a form that is refused: what is wrong stands at the field of this label, tied to it for those who do not see it, and the
// focus is at what says that nothing was done.
export async function refused(page, watch, button, label, words) {
  const before = new URL(page.url()).pathname;
  watch.allow(/^answer: 400 /, /^console error: Failed to load resource: .* 400 /);
  await Promise.all([page.waitForEvent('load'), button.click()]);
  const alert = page.getByRole('alert');
  await alert.waitFor();
  assert.equal(new URL(page.url()).pathname, before, 'it is the same form');
  const field = page.locator('[aria-invalid="true"]');
  assert.equal(await field.count(), 1, 'one field is wrong');
  const { name, said } = await field.evaluate((one) => ({
    name: one.labels?.[0]?.textContent ?? one.querySelector('legend')?.textContent,
    said: (one.getAttribute('aria-describedby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent).join(' '),
  }));
  assert(name.startsWith(label), `${name} is wrong, not ${label}`);
  assert.match(said, words);
  assert.equal(await alert.evaluate((one) => one === document.activeElement), true, 'the focus is at the error');
}
