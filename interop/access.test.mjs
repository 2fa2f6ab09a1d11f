// API keys and authorizers, as the clients that people have show their credentials.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { EventSource } from 'eventsource';

import { newKey, startGateway } from './lib/gateway.mjs';
import { post } from './lib/native.mjs';
import { openPage } from './lib/page.mjs';
import { defer, LIMIT, until } from './lib/wait.mjs';

const FAST = 'echo?ttft=0s&tps=0';
const LONG = 'echo?ttft=50ms&tps=20&tokens=1000'; // most of a minute

/** curl runs curl and returns the status of the answer. */
async function curl(...args) {
  const { stdout } = await promisify(execFile)('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', ...args]);
  return Number(stdout);
}

const ask = async (url, headers) => {
  const response = await fetch(url, { headers });
  await response.arrayBuffer();
  return response.status;
};

test('curl, fetch and EventSource show an API key', LIMIT, async (t) => {
  const { key, entry } = await newKey('interop');
  const gateway = await startGateway(t, { model: FAST, config: { keys: [entry] } });
  const url = `${gateway.url}/v1/sessions/s`;
  const body = ['--json', '{"prompt":"Hello"}', `${url}/prompts`];
  for (const header of [`x-api-key: ${key}`, `Authorization: Bearer ${key}`, `Authorization: bearer ${key}`]) {
    assert.equal(await curl('-H', header, ...body), 202, header);
    assert.equal(await curl('--http2-prior-knowledge', '-H', header, ...body), 202, header);
    const [name, value] = header.split(': ');
    assert.equal(await ask(url, { [name]: value }), 200, header);
  }
  assert.equal(await curl('--oauth2-bearer', key, ...body), 202);
  assert.equal(await curl(`${url}?token=${key}`), 200);
  for (const wrong of [`x-api-key: ${key}0`, 'x-api-key: rnl_0', `Authorization: Basic ${key}`, 'x-api-key;']) {
    assert.equal(await curl('-H', wrong, ...body), 401, wrong);
  }
  assert.equal(await curl(...body), 401);

  const { generation } = await (await post(gateway, 's', { prompt: 'Hello' }, { 'x-api-key': key })).json();
  await openPage(t, gateway, 's', `?token=${key}`).shown(generation);
  const closed = openPage(t, gateway, 's', `?token=${key}0`);
  await until('the page gives up', () => closed.source.readyState === EventSource.CLOSED);
  assert.deepEqual(closed.connections, [{ cursor: undefined, status: 401 }]);
  assert.ok(!gateway.log.includes(key), 'the log has the key');
});

test('a key that is taken away ends its pages, and nothing else', LIMIT, async (t) => {
  const [gone, stays] = [await newKey('gone'), await newKey('stays')];
  const gateway = await startGateway(t, { model: LONG, config: { keys: [gone.entry, stays.entry] } });
  const { generation } = await (await post(gateway, 's', { prompt: 'Hello' }, { 'x-api-key': gone.key })).json();
  const [ends, goes] = [gone, stays].map(({ key }) => openPage(t, gateway, 's', `?token=${key}`));
  const errors = [];
  ends.source.addEventListener('error', ({ data }) => data && errors.push(JSON.parse(data).kind));
  await ends.began(generation);
  await goes.began(generation);
  await gateway.configure({ keys: [stays.entry] });
  await until('the page is told to go', () => ends.source.readyState === EventSource.CLOSED);
  assert.deepEqual(errors, ['unauthenticated']);
  assert.deepEqual(ends.connections.map(({ status }) => status), [200, 401]); // an EventSource tries once more
  const had = goes.answers.get(generation).arrivals.length;
  await goes.began(generation, had + 5);
  assert.equal(goes.connections.length, 1);
});

test('a gateway keeps what it knows when its new configuration is broken', LIMIT, async (t) => {
  const { key, entry } = await newKey('interop');
  const gateway = await startGateway(t, { model: FAST, config: { keys: [entry] } });
  await gateway.configure({ keys: [{ name: 'broken', hash: 'none' }] }, 'the new configuration is refused');
  assert.equal(await ask(`${gateway.url}/v1/sessions/s`, { 'x-api-key': key }), 200);
});

for (const form of ['appsync', 'apigateway']) {
  test(`a webhook decides in the form of ${form}`, LIMIT, async (t) => {
    const hook = await startHook(t, form);
    const identity = form === 'apigateway' ? { identity_sources: ['route.request.header.Authorization'] } : {};
    const gateway = await startGateway(t, { model: FAST, config: { webhook: { url: hook.url, form, ttl: '5m', ...identity } } });
    const url = `${gateway.url}/v1/sessions/s`;
    assert.equal(await curl('-H', 'Authorization: open sesame', '--json', '{"prompt":"Hello"}', `${url}/prompts`), 202);
    assert.equal(await ask(url, { Authorization: 'open sesame' }), 200);
    assert.equal(hook.questions, 1, 'the answer is remembered');
    assert.equal(await ask(url, { Authorization: 'open barley' }), form === 'appsync' ? 401 : 403);
    assert.equal(await ask(url, {}), 401);
    assert.equal(hook.questions, 2, 'nobody is asked about nothing');
    hook.broken = true;
    assert.equal(await ask(url, { Authorization: 'open rye' }), 503);
    assert.equal(await ask(url, { Authorization: 'open sesame' }), 200);
  });
}

/** startHook starts an authorizer that knows one word. */
async function startHook(t, form) {
  const hook = { questions: 0, broken: false };
  const server = createServer(async (req, res) => {
    const question = JSON.parse(Buffer.concat(await req.toArray()).toString());
    hook.questions++;
    const allowed = (question.authorizationToken ?? question.headers?.authorization ?? question.headers?.Authorization) === 'open sesame';
    const policy = { Statement: [{ Action: 'execute-api:Invoke', Effect: allowed ? 'Allow' : 'Deny', Resource: '*' }], Version: '2012-10-17' };
    const answer = form === 'appsync' ? { isAuthorized: allowed } : { principalId: 'ali', policyDocument: policy };
    res.writeHead(hook.broken ? 500 : 200, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  defer(t, async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  hook.url = `http://127.0.0.1:${server.address().port}/authorize`;
  return hook;
}
