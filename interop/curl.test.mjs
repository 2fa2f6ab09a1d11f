// curl, as it stands in the README and in what the gateway prints when it starts.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

import { startGateway } from './lib/gateway.mjs';
import { startWith, VENDORS } from './lib/models.mjs';
import { transcript } from './lib/native.mjs';
import { defer, LIMIT, until } from './lib/wait.mjs';

const PACED = 'echo?ttft=20ms&tps=20&tokens=20'; // one second

/** curl runs a command line of curl's, as a shell would, for the test t. */
function curl(t, line) {
  const child = spawn('bash', ['-c', `exec ${line}`], { stdio: ['ignore', 'pipe', 'pipe'] });
  const run = { out: '', err: '', arrivals: [], leave: () => child.kill('SIGKILL') };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    run.out += text;
    run.arrivals.push(performance.now());
  });
  child.stderr.setEncoding('utf8').on('data', (text) => (run.err += text));
  run.code = once(child, 'close').then(([code]) => code);
  defer(t, () => {
    run.leave();
    return run.code;
  });
  return run;
}

function assertPaced({ arrivals }) {
  assert.ok(arrivals.length >= 8, `the answer came in ${arrivals.length} pieces`);
  const took = arrivals.at(-1) - arrivals[0];
  assert.ok(took > 500, `twenty tokens, 50 ms apart, came within ${took} ms`);
}

const bare = (gateway, options = '') => `curl -sN ${options} ${gateway.url}/ -d '{"prompt":"Hello","sessionId":"curl"}'`;
const textOf = async (gateway, session) => (await transcript(gateway, session)).turns[0].text;

test('the line that the gateway prints streams tokens one by one', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: PACED });
  const [line] = await until('it is printed', () => gateway.log.match(/curl -N .*/));
  const run = curl(t, line);
  assert.equal(await run.code, 0, run.err);
  assertPaced(run);
  const events = [...run.out.matchAll(/^data: (.+)$/gm)].map(([, data]) => JSON.parse(data));
  assert.equal(events.map(({ text = '' }) => text).join(''), await textOf(gateway, 'demo'));
  assert.equal(events.at(-1).type, 'generation.done');
});

for (const [name, options] of [['HTTP/1.1', ''], ['h2c', '--http2-prior-knowledge'], ['HTTP/1.0', '--http1.0']]) {
  test(`bare text over ${name} comes token by token`, LIMIT, async (t) => {
    const gateway = await startGateway(t, { model: PACED });
    const run = curl(t, bare(gateway, options));
    assert.equal(await run.code, 0, run.err);
    assertPaced(run);
    assert.equal(run.out, await textOf(gateway, 'curl'));
  });

  test(`events over ${name} come token by token`, LIMIT, async (t) => {
    const gateway = await startGateway(t, { model: PACED });
    const run = curl(t, `curl -sN ${options} '${gateway.url}/v1/sessions/curl/events'`);
    await until('it is connected', () => run.out.includes('\n'));
    assert.equal(await curl(t, bare(gateway)).code, 0);
    await until('the end has come', () => run.out.includes('event: generation.done'));
    assertPaced(run);
  });

  test(`curl notices over ${name} that an answer broke off`, LIMIT, async (t) => {
    const { mock, gateway } = await startWith(t, VENDORS[0], {});
    mock.onMessage('Hello', { content: 'This will be cut short.' }, { truncateAfterChunks: 3, latency: 50 });
    const run = curl(t, bare(gateway, options));
    const code = await run.code;
    assert.notEqual(run.out, '');
    if (name !== 'HTTP/1.0') assert.notEqual(code, 0, 'the end of the connection is all that HTTP/1.0 has');
  });
}

test('a curl that is killed stops nothing', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: PACED });
  const run = curl(t, bare(gateway));
  await until('some of the answer is there', () => run.arrivals.length >= 3);
  run.leave();
  const [turn] = await until('the answer is complete', async () => {
    const { turns } = await transcript(gateway, 'curl');
    return turns.length > 0 && turns;
  });
  assert.equal(turn.state, 'done');
  assert.ok(turn.text.startsWith(run.out));
});

test('a quiet connection shows that it lives', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: 'echo', args: ['--heartbeat', '100ms'] });
  const run = curl(t, `curl -sN '${gateway.url}/v1/sessions/quiet/events'`);
  await until('two heartbeats have come', () => run.out.match(/^: ping$/gm)?.length >= 2);
  assert.doesNotMatch(run.out, /^(event|data):/m);
});

test('a body larger than the limit is refused, not swallowed', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: 'echo', args: ['--max-prompt', '1KiB'] });
  for (const path of ['/', '/v1/sessions/big/prompts']) {
    const run = curl(t, `curl -s -w '\\n%{http_code}' ${gateway.url}${path} --json @<(printf '{"prompt":"%0200000d"}' 0)`);
    assert.equal(await run.code, 0, run.err);
    assert.match(run.out, /\n413$/);
  }
});
