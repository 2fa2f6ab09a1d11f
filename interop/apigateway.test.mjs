// API Gateway's WebSocket APIs: the clients that people use, and backends that were written for AWS Lambda.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Sha256 } from '@aws-crypto/sha256-js';
import {
  ApiGatewayManagementApiClient, DeleteConnectionCommand, GetConnectionCommand, GoneException, PayloadTooLargeException, PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
import { HttpRequest } from '@smithy/protocol-http';
import { SignatureV4 } from '@smithy/signature-v4';
import { chromium } from 'playwright-core';

import { startBoto } from './lib/boto.mjs';
import { startChunks } from './lib/chunks.mjs';
import { freePort, startGateway } from './lib/gateway.mjs';
import { startMock } from './lib/models.mjs';
import { transcript } from './lib/native.mjs';
import { defer, LIMIT, until } from './lib/wait.mjs';
import { connectionId, openSocket, startHandler, url } from './lib/websocket.mjs';

const MODEL = 'echo?ttft=0s&tps=100&tokens=20';
const KEY = ['AKIDRUNNEL', 'a secret of the interop tests'];
const IAM = { iam: { keys: [{ access_key: KEY[0], secret: KEY[1] }] }, keys: [] };
const CLAUDE = 'anthropic.claude-3-sonnet-20240229-v1:0';

/** wscat runs wscat in a terminal, which it needs to say anything. */
function wscat(t, ...args) {
  const binary = fileURLToPath(new URL('node_modules/.bin/wscat', import.meta.url));
  const command = [process.execPath, binary, '--no-color', ...args].map((arg) => `'${arg}'`).join(' ');
  const child = spawn('script', ['-qefc', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'pipe'] });
  const run = { out: '', type: (line) => child.stdin.write(`${line}\n`), code: once(child, 'close').then(([code]) => code) };
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (run.out += text));
  defer(t, () => {
    child.kill('SIGKILL');
    return run.code;
  });
  return run;
}

/** plain takes from a terminal's output what moves its cursor. */
const plain = (text) => text.replace(/\u001b\[[0-9;]*[A-Za-z]/g, '').replace(/\r/g, '\n');
const received = (run) => [...plain(run.out).matchAll(/^(?:> )*< (.+)$/gm)].map(([, frame]) => frame);

test('wscat shows a conversation in the seed\'s format', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: MODEL });
  const run = wscat(t, '-c', url(gateway, '/dev/?sessionId=wscat'));
  await until('it is connected', () => run.out.includes('Connected (press CTRL+C to quit)'));
  run.type('{"action": "sendtext", "text": "Hello, AI! What you can do?"}');
  const { turns } = await until('the answer is complete', async () => {
    const found = await transcript(gateway, 'wscat');
    return found.turns?.length > 0 && found;
  });
  await until('it is all there', () => received(run).map((frame) => JSON.parse(frame)).join('') === turns[0].text);
  const frames = received(run);
  assert.ok(frames.length > 1);
  for (const frame of frames) assert.match(frame, /^"[\x20-\x7e]*"$/);
});

test('wscat prints the status that refuses it, and the code that closes it', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: MODEL, args: ['--websocket-idle-timeout', '500ms'] });
  const refused = wscat(t, '-c', url(gateway, '/nope'));
  await refused.code;
  assert.match(plain(refused.out), /error: Unexpected server response: 403/);
  const closed = wscat(t, '-c', url(gateway, '/dev'));
  await closed.code;
  assert.match(plain(closed.out), /Disconnected \(code: 1001, reason: "Going away"\)/);
});

test('boto3 posts, looks and closes', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: MODEL, config: IAM });
  const socket = await openSigned(t, gateway);
  const boto = startBoto(t, 'connections.py');
  const ConnectionId = await connectionId(socket);
  const ask = (operation, more = {}, options = {}) =>
    boto({ endpoint: `${gateway.url}/dev`, credentials: KEY, operation, arguments: { ConnectionId, ...more }, ...options });

  assert.deepEqual(await ask('post_to_connection', { Data: '"H\\u00e9"' }), { status: 200 });
  assert.deepEqual(await ask('post_to_connection', { Data: 'é' }, { endpoint: `${gateway.url}/dev/` }), { status: 200 });
  assert.deepEqual(await socket.receive(2), ['"H\\u00e9"', 'é']);
  const about = await ask('get_connection');
  assert.equal(about.SourceIp, '127.0.0.1');
  assert.ok(Math.abs(about.ConnectedAt - Date.now() / 1000) < 60 && about.LastActiveAt >= about.ConnectedAt - 1, JSON.stringify(about));
  assert.equal((await ask('post_to_connection', { Data: 'x'.repeat(131_073) })).code, 'PayloadTooLargeException');
  assert.equal((await ask('post_to_connection', { ConnectionId: 'nonsense', Data: 'x' })).code, 'BadRequestException');
  assert.equal((await ask('post_to_connection', { Data: 'x' }, { credentials: [KEY[0], 'some other secret of theirs'] })).status, 403);
  assert.deepEqual(await ask('delete_connection'), { status: 204 });
  assert.deepEqual(await socket.closed, { code: 1000, reason: 'Connection Closed Normally' });
  for (const [operation, more] of [['post_to_connection', { Data: 'x' }], ['get_connection'], ['delete_connection']]) {
    assert.deepEqual(await ask(operation, more), { gone: 410 }, operation);
  }
});

const signer = new SignatureV4({
  credentials: { accessKeyId: KEY[0], secretAccessKey: KEY[1] }, region: 'us-east-1', service: 'execute-api', sha256: Sha256,
});

/** openSigned opens a socket by a URL that the SDK has signed. */
async function openSigned(t, gateway) {
  const { host } = new URL(gateway.url);
  const signed = await signer.presign(
    new HttpRequest({ method: 'GET', protocol: 'http:', hostname: host, path: '/dev', headers: { host } }), { expiresIn: 3600 },
  );
  return openSocket(t, gateway, `/dev?${new URLSearchParams(signed.query)}`);
}

test('the AWS SDK for JavaScript posts, looks and closes', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: MODEL, config: IAM });
  const socket = await openSigned(t, gateway);
  const ConnectionId = await connectionId(socket);
  for (const endpoint of [`${gateway.url}/dev`, `${gateway.url}/dev/`]) { // the latter sends two slashes
    const client = new ApiGatewayManagementApiClient({
      endpoint, region: 'us-east-1', credentials: { accessKeyId: KEY[0], secretAccessKey: KEY[1] },
    });
    defer(t, () => client.destroy());
    const { $metadata } = await client.send(new PostToConnectionCommand({ ConnectionId, Data: new TextEncoder().encode('{"é": 1}') }));
    assert.equal($metadata.httpStatusCode, 200);
    assert.deepEqual(await socket.receive(1), ['{"é": 1}']);
    const about = await client.send(new GetConnectionCommand({ ConnectionId }));
    assert.equal(about.Identity.SourceIp, '127.0.0.1');
    assert.ok(about.ConnectedAt instanceof Date && about.LastActiveAt instanceof Date);
    await assert.rejects(client.send(new PostToConnectionCommand({ ConnectionId, Data: 'x'.repeat(131_073) })), PayloadTooLargeException);
  }
  const client = new ApiGatewayManagementApiClient({
    endpoint: `${gateway.url}/dev`, region: 'us-east-1', credentials: { accessKeyId: KEY[0], secretAccessKey: KEY[1] },
  });
  defer(t, () => client.destroy());
  await client.send(new DeleteConnectionCommand({ ConnectionId }));
  assert.equal((await socket.closed).code, 1000);
  await assert.rejects(client.send(new PostToConnectionCommand({ ConnectionId, Data: 'x' })), GoneException);
  await assert.rejects(client.send(new DeleteConnectionCommand({ ConnectionId })), GoneException);
});

test('%40connections is signed, and served, as @connections is', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: MODEL, config: IAM });
  const socket = await openSigned(t, gateway);
  const id = (await connectionId(socket)).replaceAll('=', '%3D');
  const { host } = new URL(gateway.url);
  for (const segment of ['@connections', '%40connections']) {
    const path = `/dev/${segment}/${id}`;
    const { headers } = await signer.sign(new HttpRequest({ method: 'POST', protocol: 'http:', hostname: host, path, headers: { host }, body: segment }));
    const response = await fetch(gateway.url + path, { method: 'POST', headers, body: segment });
    assert.equal(response.status, 200, await response.text());
    assert.deepEqual(await socket.receive(1), [segment]);
  }
});

/** startBackend starts a model, a handler for it and a gateway in front of both. */
async function startBackend(t, name, routes) {
  const mock = await startMock(t);
  const port = await freePort();
  const handler = await startHandler(t, name, {
    API_ENDPOINT: `http://127.0.0.1:${port}`, STAGE: 'dev', MODEL_ID: CLAUDE,
    ENDPOINT_URL: await startChunks(t, mock.url),
    AWS_ACCESS_KEY_ID: KEY[0], AWS_SECRET_ACCESS_KEY: KEY[1],
  });
  const config = {
    websocket_apis: [{ name: 'seed', stages: ['dev'], routes: routes.map((key) => ({ key, integration: 'http', url: handler, async: true })) }],
  };
  const gateway = await startGateway(t, { model: MODEL, config, port });
  return { mock, gateway };
}

const SAID = 'Hello! I\'m here to help:\n\n• “questions” <&>\n• Größe, 日本語 and 😀.';

test('a Lambda handler that sends JSON strings runs as a process of its own', LIMIT, async (t) => {
  const { mock, gateway } = await startBackend(t, 'sendtext', ['$connect', '$disconnect', '$default', 'sendtext']);
  mock.onMessage('what you can do', { content: SAID });
  const run = wscat(t, '-c', url(gateway, '/dev/'));
  await until('it is connected', () => run.out.includes('Connected'));
  run.type('{"action": "sendtext", "text": "what you can do?"}');
  await until('it has come', () => received(run).map((frame) => JSON.parse(frame)).join('') === SAID);
  assert.ok(received(run).length > 3);
  assert.ok(received(run).some((frame) => frame.includes('\\u2022')), received(run).join());
});

test('a Lambda handler that sends {"token","isComplete"} runs as a process of its own', LIMIT, async (t) => {
  const { mock, gateway } = await startBackend(t, 'tokens', ['$connect', '$disconnect', 'stream']);
  mock.onMessage('hi', { content: SAID });
  const socket = await openSocket(t, gateway, '/dev?token=abc');
  socket.send({ action: 'stream', prompt: 'hi', timestamp: 5 });
  await until('it is complete', () => socket.frames.some((frame) => frame.includes('"isComplete": true')));
  const frames = socket.frames.map((frame) => JSON.parse(frame));
  assert.equal(frames.map(({ token }) => token).join(''), SAID);
  assert.deepEqual(frames.at(-1), { token: '', isComplete: true });
  assert.ok(frames.slice(0, -1).every(({ isComplete }) => isComplete === false));
});

test('five hundred posts of one token arrive complete and in order', LIMIT, async (t) => {
  const { gateway } = await startBackend(t, 'count', ['count']);
  const socket = await openSocket(t, gateway, '/dev');
  socket.send({ action: 'count', n: 500 });
  assert.deepEqual(await socket.receive(500), Array.from({ length: 500 }, (_, n) => `token ${n}`));
});

test('a browser\'s own WebSocket streams an answer', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: MODEL });
  const profile = await mkdtemp(join(tmpdir(), 'runnel-chromium-'));
  defer(t, () => rm(profile, { recursive: true, force: true }));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: '/usr/bin/chromium', headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  defer(t, () => browser.close());
  const page = await browser.newPage();
  await page.goto(`${gateway.url}/healthz`); // the page at / allows itself no connections
  const frames = await page.evaluate((address) => new Promise((resolve, reject) => {
    const got = [];
    const ws = new WebSocket(address);
    ws.onopen = () => ws.send(JSON.stringify({ action: 'stream', prompt: 'Hello' }));
    ws.onmessage = ({ data }) => {
      got.push(JSON.parse(data));
      if (got.at(-1).isComplete) resolve(got);
    };
    ws.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
  }), url(gateway, '/dev?sessionId=browser'));
  const { turns } = await transcript(gateway, 'browser');
  assert.equal(frames.map(({ token }) => token).join(''), turns[0].text);
  assert.ok(frames.length > 3, `${frames.length} frames`);
  // The page of another site may not connect.
  await page.goto(`${gateway.url.replace('127.0.0.1', 'localhost')}/healthz`);
  const code = await page.evaluate((address) => new Promise((resolve) => {
    new WebSocket(address).onclose = (event) => resolve(event.code);
  }), url(gateway, '/dev'));
  assert.equal(code, 1006);
});
