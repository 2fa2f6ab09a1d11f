// The client against a server that does what it is told: cuts, repeats, refuses.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';

import { Answer, Runnel, RunnelError } from '../dist/index.js';

/** serve answers each request with the next of the steps. */
async function serve(t, ...steps) {
  const asked = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => (body += piece));
    request.on('end', () => {
      asked.push({ method: request.method, url: request.url, headers: request.headers, body });
      const step = steps.shift() ?? ((r) => r.writeHead(500).end());
      step(response, request);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, asked };
}

const json = (status, body, headers = {}) => (response) => response.writeHead(status, headers).end(JSON.stringify(body));
const refuse = (status, kind, headers) => json(status, { error: { kind, message: `it is ${kind}` } }, headers);
const frame = (id, event) => `${id ? `id: ${id}\n` : ''}event: ${event.type}\ndata: ${JSON.stringify({ v: 1, generation: 'g', attempt: 1, ...event })}\n\n`;
const delta = (id, text) => frame(id, { type: 'delta', text });
const done = (id) => frame(id, { type: 'generation.done', stop_reason: 'end_turn' });

/** stream sends pieces and then breaks off, or stays. */
const stream = (pieces, stays = false) => (response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const piece of pieces) response.write(piece);
  if (!stays) response.socket.destroySoon();
};

async function collect(events, until = (event) => event.type === 'generation.done') {
  const all = [];
  for await (const event of events) {
    all.push(event);
    if (until(event)) break;
  }
  return all;
}

const texts = (events) => events.map((event) => event.text ?? event.type);
const after = ({ asked }) => asked.map(({ url }) => new URL(url, 'http://x').searchParams.get('after'));

test('goes on where the connection broke, and gives nothing twice', async (t) => {
  const server = await serve(
    t,
    stream([': runnel\nretry: 5\n\n', delta('e-1', 'a'), delta('e-2', 'b'), 'id: e-3\nevent: delta\ndata: {"half']),
    refuse(503, 'unavailable'),
    stream([delta('e-3', 'c'), done('e-4')]),
  );
  const notices = [];
  const client = new Runnel(server.url, { notify: ({ error }) => notices.push(error?.kind) });
  const events = await collect(client.subscribe('s'));
  assert.deepEqual(texts(events), ['a', 'b', 'c', 'generation.done']);
  assert.deepEqual(after(server), ['0', 'e-2', 'e-2']);
  assert.deepEqual(notices, ['unavailable', 'unavailable', undefined]);
});

test('a reset that is cut off comes again as a whole', async (t) => {
  const reset = [frame('', { type: 'generation.started', model: 'm' }), frame('', { type: 'reset', text: 'ab' })];
  const server = await serve(
    t,
    stream([delta('e-9', 'x'), reset[0]]),
    stream([...reset, frame('f-3', { type: 'tool', tool: { index: 0, id: 'c', name: 'n', input: '{}' } }), delta('f-4', 'c'), done('f-5')]),
  );
  const answer = new Answer();
  for (const event of await collect(new Runnel(server.url).subscribe('s'))) answer.apply(event);
  assert.equal(answer.text, 'abc');
  assert.deepEqual(answer.tools, [{ index: 0, id: 'c', name: 'n', input: '{}' }]);
  assert.deepEqual(after(server), ['0', 'e-9']);
});

test('frames may be cut anywhere, and lines end in any way', async (t) => {
  const whole = Buffer.from((delta('e-1', 'Größe 日本 😀') + done('e-2')).replaceAll('\n', '\r\n'));
  for (let at = 1; at < whole.length; at += 7) {
    const server = await serve(t, (response) => {
      response.writeHead(200);
      response.write(whole.subarray(0, at), () => setImmediate(() => response.write(whole.subarray(at))));
    });
    assert.deepEqual(texts(await collect(new Runnel(server.url).subscribe('s'))), ['Größe 日本 😀', 'generation.done']);
  }
});

test('what trying again would not mend is thrown', async (t) => {
  for (const [status, kind] of [
    [410, 'gone'],
    [404, 'not_found'],
    [401, 'unauthenticated'],
  ]) {
    const server = await serve(t, refuse(status, kind));
    await assert.rejects(collect(new Runnel(server.url).subscribe('s')), (error) => error instanceof RunnelError && error.kind === kind);
    assert.equal(server.asked.length, 1);
  }
});

test('credentials that end are asked for anew, once', async (t) => {
  const ended = 'event: error\ndata: {"kind":"unauthenticated","message":"expired"}\n\n';
  const server = await serve(t, stream([delta('e-1', 'a'), ended]), stream([delta('e-2', 'b'), ended]), refuse(401, 'unauthenticated'));
  let count = 0;
  const client = new Runnel(server.url, { token: () => `t${++count}` });
  const events = [];
  await assert.rejects(async () => {
    for await (const event of client.subscribe('s')) events.push(event);
  }, /unauthenticated/);
  assert.deepEqual(texts(events), ['a', 'b']);
  assert.deepEqual(
    server.asked.map(({ headers }) => headers.authorization),
    ['Bearer t1', 'Bearer t2', 'Bearer t3'],
  );
});

test('a submission is repeated under one key', async (t) => {
  const receipt = { session: 'a b', generation: 'g', cursor: 'e-0' };
  const server = await serve(t, (response) => response.socket.destroy(), refuse(503, 'unavailable', { 'retry-after': '0' }), json(202, receipt));
  assert.deepEqual(await new Runnel(server.url).submit('a b', 'why?'), receipt);
  assert.deepEqual(new Set(server.asked.map(({ headers }) => headers['idempotency-key'])).size, 1);
  assert.deepEqual(server.asked.map(({ url, body }) => [url, body])[2], ['/v1/sessions/a%20b/prompts', '{"prompt":"why?"}']);
});

test('a session of dots cannot be named', async () => {
  for (const id of ['.', '..']) await assert.rejects(new Runnel('http://127.0.0.1:9').transcript(id), { kind: 'invalid' });
});

test('stream gives one generation, and ends with it', async (t) => {
  const other = frame('e-1', { type: 'delta', text: 'other', generation: 'h' });
  const server = await serve(t, json(202, { session: 's', generation: 'g', cursor: 'e-0' }), stream([other, delta('e-2', 'a'), done('e-3')], true));
  assert.equal((await new Runnel(server.url).ask('s', 'why?')).text, 'a');
});

test('the signal and the caller let go of the connection', async (t) => {
  const closed = [];
  const step = (response, request) => {
    request.socket.once('close', () => closed.push(request.url));
    stream([delta('e-1', 'a')], true)(response);
  };
  const server = await serve(t, step, step);
  const client = new Runnel(server.url);
  await collect(client.subscribe('one'), () => true);
  const stop = new AbortController();
  const events = [];
  for await (const event of client.subscribe('two', { signal: stop.signal })) {
    events.push(event);
    stop.abort();
  }
  assert.deepEqual(texts(events), ['a']);
  for (let i = 0; i < 200 && closed.length < 2; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(closed.length, 2);
});
