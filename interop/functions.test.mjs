// Handlers on the official runtime clients, called by the official SDKs, and by browsers' fetch at their URLs.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { InvokeCommand, InvokeWithResponseStreamCommand, LambdaClient } from '@aws-sdk/client-lambda';

import { startBoto } from './lib/boto.mjs';
import { startGateway } from './lib/gateway.mjs';
import { stream as follow } from './lib/native.mjs';
import { defer, LIMIT, until } from './lib/wait.mjs';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const KEY = ['AKIDLAMBDA', 'a secret of the interop tests'];
// Where the C++ module of Node's runtime client has been compiled, it is used.
const transport = existsSync(path('node_modules/aws-lambda-ric/dist/rapid-client.node')) ? [] : ['--require', path('lib/ric.cjs')];
const node = (handler) => ({
  command: [process.execPath, ...transport, path('node_modules/aws-lambda-ric/bin/index.mjs'), `lambda.${handler}`],
  dir: path('lib/handlers'),
});
const url = { auth: 'none', mode: 'stream' };

let bin; // a folder with the Go handler

before(async () => {
  bin = await mkdtemp(join(tmpdir(), 'runnel-handler-'));
  await promisify(execFile)('go', ['build', '-o', join(bin, 'go'), './lib/handlers/go'], { cwd: path('.') });
});
after(() => rm(bin, { recursive: true, force: true }));

const start = (t, options = {}) =>
  startGateway(t, {
    model: 'echo?ttft=0s&tps=0',
    config: {
      iam: { keys: [{ access_key: KEY[0], secret: KEY[1], actions: ['lambda:*'] }] },
      keys: [],
      functions: [
        { name: 'go', command: [join(bin, 'go')], concurrency: 1 },
        { name: 'node', ...node('handler'), concurrency: 1 },
        { name: 'python', command: ['/usr/bin/python3', '-I', path('lib/handlers/runtime.py')] },
        { name: 'go-url', command: [join(bin, 'go')], handler: 'stream', url },
        { name: 'node-url', ...node('stream'), url },
        { name: 'node-late', ...node('stream'), timeout: '3s', url },
        { name: 'agent', ...node('agent') },
        { name: 'signed', command: [join(bin, 'go')], url: { auth: 'iam' } },
      ],
    },
    ...options,
  });

/** sdk returns AWS's client for a gateway. */
function sdk(t, gateway, [accessKeyId, secretAccessKey] = KEY) {
  const client = new LambdaClient({ endpoint: gateway.url, region: 'us-east-1', credentials: { accessKeyId, secretAccessKey }, maxAttempts: 1 });
  defer(t, () => client.destroy());
  return client;
}

const json = (value) => new TextEncoder().encode(JSON.stringify(value));
const parse = (payload) => JSON.parse(new TextDecoder().decode(payload));

test("AWS's client for JavaScript invokes handlers in Go, Node and Python", LIMIT, async (t) => {
  const gateway = await start(t);
  const client = sdk(t, gateway);
  for (const FunctionName of ['go', 'node', 'python', 'arn:aws:lambda:us-east-1:000000000000:function:go']) {
    const said = await client.send(new InvokeCommand({ FunctionName, Payload: json({ echo: 'Größe', log: 'said so' }), LogType: 'Tail' }));
    assert.equal(said.StatusCode, 200);
    assert.equal(said.FunctionError, undefined);
    assert.equal(parse(said.Payload).echo, 'Größe', FunctionName);
    assert.match(Buffer.from(said.LogResult, 'base64').toString(), /said so\n/, FunctionName);
    const failed = await client.send(new InvokeCommand({ FunctionName, Payload: json({ fail: 'it cannot' }) }));
    assert.deepEqual([failed.StatusCode, failed.FunctionError, parse(failed.Payload).errorMessage], [200, 'Unhandled', 'it cannot'], FunctionName);
    const event = await client.send(new InvokeCommand({ FunctionName, InvocationType: 'Event', Payload: json({ log: `event of ${FunctionName}` }) }));
    assert.equal(event.StatusCode, 202);
    await until('the event ran', () => gateway.log.includes(`event of ${FunctionName}`));
    assert.equal((await client.send(new InvokeCommand({ FunctionName, InvocationType: 'DryRun' }))).StatusCode, 204);
  }
});

test('a handler that dies takes nothing with it', LIMIT, async (t) => {
  const gateway = await start(t);
  const client = sdk(t, gateway);
  const invoke = async (FunctionName, event) => parse((await client.send(new InvokeCommand({ FunctionName, Payload: json(event) }))).Payload);
  const other = (await invoke('go', {})).pid;
  const first = (await invoke('node', {})).pid;
  const died = await invoke('node', { exit: 7 });
  assert.deepEqual([died.errorType, /exit status 7/.test(died.errorMessage)], ['Runtime.ExitError', true]);
  const second = (await invoke('node', {})).pid;
  process.kill(second, 'SIGKILL');
  const third = await until('another process has taken over', async () => {
    const answer = await invoke('node', {});
    return answer.pid && answer.pid !== second && answer.pid;
  });
  assert.equal(new Set([first, second, third]).size, 3);
  assert.equal((await invoke('go', {})).pid, other);
});

test("AWS's client for JavaScript streams, and knows the errors", LIMIT, async (t) => {
  const gateway = await start(t);
  const client = sdk(t, gateway);
  const invoke = async (FunctionName, body) => {
    const response = await client.send(new InvokeWithResponseStreamCommand({ FunctionName, Payload: json({ body: JSON.stringify(body) }) }));
    let text = '';
    for await (const { PayloadChunk, InvokeComplete } of response.EventStream) {
      if (InvokeComplete) return { text, end: InvokeComplete };
      text += new TextDecoder().decode(PayloadChunk.Payload);
    }
    throw new Error('no InvokeComplete');
  };
  for (const name of ['go-url', 'node-url']) {
    const { text, end } = await invoke(name, { chunks: 3 });
    assert.match(text, /^\{"statusCode":201,[^\0]*\}\0{8}(\d+\n){3}$/, name);
    assert.equal(end.ErrorCode, undefined);
    const failed = await invoke(name, { chunks: 1, fail: 'half way' });
    assert.match(failed.end.ErrorDetails, /half way/, name);
  }
  await assert.rejects(client.send(new InvokeCommand({ FunctionName: 'nobody' })), { name: 'ResourceNotFoundException' });
  const wrong = sdk(t, gateway, [KEY[0], 'another secret, as long']);
  await assert.rejects(wrong.send(new InvokeCommand({ FunctionName: 'go' })), { name: 'InvalidSignatureException' });
  const unknown = sdk(t, gateway, ['AKIDNOBODY', KEY[1]]);
  await assert.rejects(unknown.send(new InvokeCommand({ FunctionName: 'go' })), { name: 'UnrecognizedClientException' });
});

test('boto3 invokes, and knows the errors', LIMIT, async (t) => {
  const gateway = await start(t);
  const boto = startBoto(t, 'botolambda.py');
  const call = (input, credentials = KEY) => boto({ endpoint: gateway.url, credentials, input });
  const said = await call({ FunctionName: 'go', Payload: '{"echo":"x","log":"said so"}', LogType: 'Tail' });
  assert.deepEqual([said.status, JSON.parse(said.payload).echo, said.error, said.log], [200, 'x', null, 'said so\n']);
  const failed = await call({ FunctionName: 'python', Payload: '{"fail":"it cannot"}' });
  assert.deepEqual([failed.status, failed.error, JSON.parse(failed.payload).errorType], [200, 'Unhandled', 'ValueError']);
  assert.equal((await call({ FunctionName: 'go', InvocationType: 'Event' })).status, 202);
  assert.equal((await call({ FunctionName: 'go', InvocationType: 'DryRun' })).status, 204);
  assert.deepEqual(await call({ FunctionName: 'nobody' }), { status: 404, code: 'ResourceNotFoundException', class: 'ResourceNotFoundException' });
  assert.equal((await call({ FunctionName: 'go' }, [KEY[0], 'another secret, as long'])).code, 'InvalidSignatureException');
});

/** late returns how long after they were written the pieces of an answer have come, in ms. */
async function late(response) {
  const delays = [];
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    for (const written of piece.trim().split('\n')) delays.push(Date.now() - Number(written));
  }
  return delays;
}

/** figures says in words how numbers of milliseconds are spread. */
function figures(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))].toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms of ${sorted.length}`;
}

for (const name of ['go-url', 'node-url']) {
  test(`${name}: what a streaming handler writes is there at once`, LIMIT, async (t) => {
    const gateway = await start(t);
    const ask = (body) => fetch(`${gateway.url}/functions/${name}/some/path`, { method: 'POST', body: JSON.stringify(body) });
    await (await ask({ chunks: 1 })).text(); // the process is there now
    const response = await ask({ chunks: 50 });
    assert.equal(response.status, 201);
    assert.match(response.headers.get('content-type'), /^text\/plain/);
    assert.equal(response.headers.get('x-own'), 'yes');
    assert.deepEqual(response.headers.getSetCookie(), ['a=b', 'c=d']);
    const delays = await late(response);
    assert.equal(delays.length, 50);
    const firsts = [];
    for (let i = 0; i < 20; i++) {
      const sent = performance.now();
      const response = await ask({ chunks: 10 }); // which resolves with the first byte
      firsts.push(performance.now() - sent);
      delays.push(...(await late(response)));
    }
    t.diagnostic(`${name}: to the first byte ${figures(firsts)}; from a handler's write to fetch ${figures(delays)}`);
    const median = delays.toSorted((a, b) => a - b)[delays.length / 2];
    assert.ok(median <= 50, `half of the pieces took longer than ${median} ms`);
    const broken = await ask({ chunks: 2, fail: 'half way' });
    await assert.rejects(broken.text(), 'an answer that failed ends as if it were whole');
  });
}

test('a stream without an end is cut at its deadline', LIMIT, async (t) => {
  const gateway = await start(t);
  const ask = (body) => fetch(`${gateway.url}/functions/node-late`, { method: 'POST', body: JSON.stringify(body) });
  await assert.rejects((await ask({ chunks: 1, hang: true })).text());
  assert.match(await (await ask({ chunks: 1 })).text(), /^\d+\n$/);
  const plain = await ask({ chunks: 1, head: false });
  assert.deepEqual([plain.status, plain.headers.get('content-type')], [200, 'application/octet-stream']);
});

test('a signed URL is for those who sign', LIMIT, async (t) => {
  const gateway = await start(t);
  const response = await fetch(`${gateway.url}/functions/signed`, { method: 'POST', body: '{}' });
  assert.equal(response.status, 403);
  assert.ok('Message' in (await response.json()));
});

test('an agent is a model behind the native door, with its progress, and stops when it is told to', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: 'function/agent', config: { functions: [{ name: 'agent', ...node('agent') }] } });
  let text = '';
  const types = [];
  for await (const event of follow(gateway, 's', { prompt: 'hello' })) {
    types.push(event.type);
    text += event.text ?? '';
  }
  assert.equal(text, 'You said: hello');
  assert.ok(types.includes('progress') && types.at(-1) === 'generation.done', types.join());
  let pid;
  for await (const event of follow(gateway, 's', { prompt: 'never stop' })) {
    pid ??= event.progress?.pid;
    if (event.text === '.') await fetch(`${gateway.url}/v1/generations/${event.generation}/cancel`, { method: 'POST' });
    types.push(event.type);
  }
  assert.equal(types.at(-1), 'generation.cancelled');
  await until('its process is gone', () => !alive(pid));
});

test('no process is left behind when the gateway is killed', LIMIT, async (t) => {
  const gateway = await start(t);
  const client = sdk(t, gateway);
  const pids = [];
  for (const FunctionName of ['go', 'node', 'python']) {
    pids.push(parse((await client.send(new InvokeCommand({ FunctionName, Payload: json({}) }))).Payload).pid);
  }
  assert.ok(pids.every(alive));
  await gateway.kill();
  await until('they are gone', () => !pids.some(alive));
});

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
