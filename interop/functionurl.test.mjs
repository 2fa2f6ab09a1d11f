// The published browser client of a Lambda function URL that streams: fetch, getReader, TextDecoder.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startGateway } from './lib/gateway.mjs';
import { startMock, startWith, VENDORS } from './lib/models.mjs';
import { stream, transcript } from './lib/native.mjs';
import { LIMIT, until } from './lib/wait.mjs';

// No character beyond U+FFFF: aimock would cut it in two, and then it is no longer one.
const TEXT = 'Größe: 10 µm, 日本語 and “so on” '.repeat(8);
const PACE = { streamingProfile: { ttft: 20, tps: 50 } };
const [openai] = VENDORS;

/** call sends a prompt the way the published client does. */
const call = (gateway, body, options) =>
  fetch(`${gateway.url}/`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: 'Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln' },
    body: JSON.stringify(body),
    ...options,
  });

/** read hands over each chunk's text as the published client does: decoded by itself. */
async function* read(response) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield decoder.decode(value);
  }
}

const start = (t) => startWith(t, openai, { options: { chunkSize: 8 }, args: ['--retries', '0'] });

test('the text comes bare, as it is said, and no chunk ends within a character', LIMIT, async (t) => {
  const { mock, gateway } = await start(t);
  mock.onMessage('hello', { content: TEXT }, PACE);
  const response = await call(gateway, { prompt: 'hello', timestamp: 'ignored' });
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type'), /^text\/plain/);
  assert.match(response.headers.get('cache-control'), /no-cache/);
  const chunks = [];
  for await (const chunk of read(response)) chunks.push(chunk);
  assert.equal(chunks.join(''), TEXT);
  assert.ok(chunks.length > 10, `${chunks.length} chunks`);
  const session = decodeURIComponent(response.headers.get('runnel-session'));
  assert.equal((await transcript(gateway, session)).turns[0].text, TEXT);
});

test('a named session continues', LIMIT, async (t) => {
  const { mock, gateway } = await start(t);
  mock.onMessage('one', { content: 'First.' }).onMessage('two', { content: 'Second.' });
  for (const [prompt, want] of [['one', 'First.'], ['two', 'Second.']]) {
    const response = await call(gateway, { prompt, sessionId: 'Größe/1' });
    assert.equal(response.headers.get('runnel-session'), encodeURIComponent('Größe/1'));
    assert.equal(await response.text(), want);
  }
  assert.deepEqual(mock.getLastRequest().body.messages.map(({ role }) => role), ['user', 'assistant', 'user']);
});

for (const [upstream, status] of [[400, 502], [401, 502], [429, 503], [500, 503]]) {
  test(`a model that answers ${upstream} before the first token is a ${status} with {"error"}`, LIMIT, async (t) => {
    const { mock, gateway } = await start(t);
    mock.nextRequestError(upstream, { message: 'secret detail' });
    const response = await call(gateway, { prompt: 'hello' });
    assert.equal(response.status, status);
    const { error, ...others } = await response.json();
    assert.equal(typeof error, 'string');
    assert.doesNotMatch(error, /secret/);
    assert.deepEqual(others, {});
    assert.equal(response.headers.has('retry-after'), status === 503);
  });
}

test('a body that is no prompt is a 400 with {"error"}', LIMIT, async (t) => {
  const { gateway } = await start(t);
  for (const body of [{}, { prompt: '' }, { prompt: 7 }, 'text', null]) {
    const response = await call(gateway, body);
    assert.equal(response.status, 400, JSON.stringify(body));
    assert.equal(typeof (await response.json()).error, 'string');
  }
});

test('an answer that breaks off ends the body with an error, not as if it were whole', LIMIT, async (t) => {
  const { mock, gateway } = await start(t);
  mock.onMessage('cut', { content: TEXT }, { truncateAfterChunks: 10, latency: 20 });
  const response = await call(gateway, { prompt: 'cut' });
  assert.equal(response.status, 200);
  let text = '';
  await assert.rejects(async () => {
    for await (const chunk of read(response)) text += chunk;
  });
  assert.ok(text !== '' && TEXT.startsWith(text), text);
});

test('a client that leaves stops nothing', LIMIT, async (t) => {
  const { mock, gateway } = await start(t);
  mock.onMessage('hello', { content: TEXT }, PACE);
  const leave = new AbortController();
  const response = await call(gateway, { prompt: 'hello', sessionId: 'left' }, { signal: leave.signal });
  await read(response).next();
  leave.abort();
  const [turn] = await until('the answer is complete', async () => {
    const { turns } = await transcript(gateway, 'left');
    return turns.length > 0 && turns;
  });
  assert.deepEqual([turn.state, turn.text], ['done', TEXT]);
});

test('the text goes on across kill -9 for a client that asks again under the same key', LIMIT, async (t) => {
  const mock = await startMock(t, { chunkSize: 8 });
  mock.onMessage('hello', { content: TEXT }, PACE);
  const gateway = await startGateway(t, { model: openai.model(mock.url) });
  const again = () => call(gateway, { prompt: 'hello', sessionId: 'again' }, {
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': 'one' },
  });
  const first = await again();
  await read(first).next();
  await gateway.kill();
  await gateway.start();
  const second = await again();
  assert.equal(second.headers.get('runnel-generation'), first.headers.get('runnel-generation'));
  assert.equal(await second.text(), TEXT);
});

test('a page of an allowed origin may ask, and read which session it has', LIMIT, async (t) => {
  const origin = 'https://chat.example.com';
  const gateway = await startGateway(t, { model: 'echo?ttft=0s&tps=0', args: ['--cors-origins', origin] });
  const preflight = await fetch(`${gateway.url}/`, {
    method: 'OPTIONS',
    headers: { Origin: origin, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization,content-type' },
  });
  assert.ok(preflight.ok);
  assert.equal(preflight.headers.get('access-control-allow-origin'), origin);
  assert.match(preflight.headers.get('access-control-allow-headers'), /authorization.*content-type/i);
  const response = await call(gateway, { prompt: 'hello' }, { headers: { Origin: origin } });
  assert.equal(response.headers.get('access-control-allow-origin'), origin);
  assert.match(response.headers.get('access-control-expose-headers'), /Runnel-Session/i);
  await response.text();
});

test('the same address speaks events to those who ask for them', LIMIT, async (t) => {
  const { mock, gateway } = await start(t);
  mock.onMessage('hello', { content: TEXT }, PACE);
  const response = await call(gateway, { prompt: 'hello' }, { headers: { Accept: 'text/event-stream' } });
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  assert.match(await response.text(), /\nevent: generation\.done\n/);
});

test('the native door and this one see the same session', LIMIT, async (t) => {
  const { mock, gateway } = await start(t);
  mock.onMessage('hello', { content: TEXT }, PACE);
  const bare = call(gateway, { prompt: 'hello', sessionId: 'both' });
  let text = '';
  for await (const event of stream(gateway, 'both', { prompt: 'hello again' })) text += event.text ?? '';
  assert.equal(await (await bare).text(), TEXT);
  assert.equal(text, TEXT);
  assert.equal((await transcript(gateway, 'both')).turns.length, 2);
});
