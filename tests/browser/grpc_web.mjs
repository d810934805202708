// gRPC-Web from a page of the server's own origin: by hand over fetch, and with connect-web.

import assert from 'node:assert/strict';
import { meet, script } from './lib/script.mjs';
import { serveOwn } from './lib/own_origin.mjs';

const DEFINITION = 'name: from-a-page\nsteps:\n  only:\n    image: host\n    run: echo hello\n';
// firehall.v1.Outcome.
const SUCCEEDED = 1;
const CLIENTS = ['byHand', 'byClient'];

await script(async ({ url, given, watch, open }) => {
  const page = await open();
  await serveOwn(page, url);
  await page.goto(`${url}/__test/page/grpc_web.html`);
  await page.waitForSelector('[data-ready=yes]', { state: 'attached' });
  const ask = (client, ...call) => page.evaluate(([name, call]) => window[name](...call), [client, call]);

  for (const client of CLIENTS) {
    const compiled = await ask(client, 'WorkflowService', 'Compile', { source: DEFINITION });
    assert.deepEqual(compiled.messages[0].diagnostics, [], client);
    const wrong = await ask(client, 'WorkflowService', 'Compile', { source: 'name: x\nstepz: {}\n' });
    assert.match(wrong.messages[0].diagnostics[0].code, /^FH\d{4}$/, client);

    const listed = await ask(client, 'IncidentService', 'List', {});
    const [incident, ...more] = listed.messages[0].incidents;
    assert.deepEqual([incident.title, incident.severity, more], ['Disk füll 🔥', 'high', []], client);
    await refusals(ask, client);
  }

  // Started from the page; the page watches it from its first event to its last.
  const started = await ask('byHand', 'RunService', 'Start', { what: { case: 'source', value: DEFINITION } });
  assert.equal(started.trailers['grpc-status'], '0', started.trailers['grpc-message']);
  const { runId } = started.messages[0];
  assert.match(runId, /^run_/);
  assert.equal((await ask('byHand', 'RunService', 'Get', { runId })).messages[0].workflow, 'from-a-page');
  await page.evaluate((runId) => {
    window.watched = window.byHand('RunService', 'Watch', { runId }, { each: (event) => window.seen.push(event.kind) });
  }, runId);
  await page.waitForFunction(() => window.seen.includes('run.started'));
  const early = await page.evaluate(() => [...window.seen]);
  assert(!early.includes('run.ended'), `no agent is there: ${early}`);
  await meet('watches a run that waits for an agent');
  const whole = await page.evaluate(() => window.watched);
  assert.equal(whole.trailers['grpc-status'], '0', 'the stream ends with a status');
  assert.deepEqual(whole.messages.map((event) => Number(event.seq)), whole.messages.map((_, n) => n + 1));
  assert.equal(whole.messages.at(-1).kind, 'run.ended');
  assert.deepEqual((await ask('byClient', 'RunService', 'Watch', { runId })).messages, whole.messages);
  const run = (await ask('byClient', 'RunService', 'Get', { runId })).messages[0];
  assert.equal(run.outcome, 'OUTCOME_SUCCEEDED');
  const runs = (await ask('byClient', 'RunService', 'List', { outcomes: [SUCCEEDED] })).messages[0].runs;
  assert.deepEqual(runs.map((one) => one.id), [runId]);
  await meet('has seen the run\'s end');

  // A browser keeps six connections to a server: watchers that were cancelled must not hold theirs.
  for (let n = 0; n < 13; n += 1) {
    const cancelled = await page.evaluate((run) => window.watchAndCancel(run, 1), given.waits);
    assert.deepEqual([cancelled.ended, cancelled.kinds[0]], ['AbortError', 'run.started']);
  }
  const after = await ask('byHand', 'RunService', 'Get', { runId: given.waits });
  assert.equal(after.messages[0].outcome, 'OUTCOME_UNSPECIFIED', 'who watches changes nothing');
  watch.none();
});

async function refusals(ask, client) {
  const code = (answer, number, name) => (client === 'byHand'
    ? assert.equal(answer.trailers['grpc-status'], String(number), client)
    : assert.equal(answer.code, name, client));
  code(await ask(client, 'RunService', 'Get', { runId: 'run_00000000000000000000000000' }), 5, 'NotFound');
  const malformed = await ask(client, 'RunService', 'Get', { runId: 'x' });
  code(malformed, 3, 'InvalidArgument');
  code(await ask(client, 'RunService', 'Watch', { runId: 'x' }), 3, 'InvalidArgument');
  if (client !== 'byClient') {
    assert(malformed.trailers['grpc-status-details-bin'], 'the details are there');
    return;
  }
  assert.deepEqual(malformed.details.map((one) => [one.type, one.fieldViolations[0].field]), [
    ['google.rpc.BadRequest', 'run_id'],
  ]);
  const wrong = await ask(client, 'WorkflowService', 'Put', { source: 'name: 1\nsteps: 3\n' });
  code(wrong, 3, 'InvalidArgument');
  assert.equal(wrong.details[0].fieldViolations[0].field, 'source');
  assert.match(wrong.details[1].diagnostics[0].code, /^FH\d{4}$/);
}
