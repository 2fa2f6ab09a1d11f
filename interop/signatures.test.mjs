// AWS signatures, made by the SDKs themselves, on routes that ask for one.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Sha256 } from '@aws-crypto/sha256-js';
import { NodeHttp2Handler, NodeHttpHandler } from '@smithy/node-http-handler';
import { HttpRequest } from '@smithy/protocol-http';
import { SignatureV4 } from '@smithy/signature-v4';

import { startBoto } from './lib/boto.mjs';
import { startGateway } from './lib/gateway.mjs';
import { defer, LIMIT } from './lib/wait.mjs';

const SESSIONS = ['plain', 'a=b:c', 'a%3Db', 'Größe/日本 +&?#*~..', "it's(1)!"];
const SERVICES = ['execute-api', 'appsync', 'bedrock', 'lambda', 'lex', 'dynamodb'];
const PERMANENT = ['AKIDPERMANENT', 'a secret of the interop tests'];
const TEMPORARY = ['ASIATEMPORARY', 'another secret of these tests', 'a session/token+of=these tests'];
const CONFIG = {
  iam: {
    keys: [
      { access_key: PERMANENT[0], secret: 'env:IAM_SECRET' },
      { access_key: TEMPORARY[0], secret: TEMPORARY[1], session_token: TEMPORARY[2] },
      { access_key: 'AKIDLAMBDA', secret: PERMANENT[1], actions: ['lambda:*'] },
    ],
  },
};

const start = (t) => startGateway(t, { model: 'echo?ttft=0s&tps=0', config: CONFIG, env: { IAM_SECRET: PERMANENT[1] } });

test('boto3 reaches every session with its signature', LIMIT, async (t) => {
  const gateway = await start(t);
  const boto = startBoto(t);
  for (const credentials of [PERMANENT, TEMPORARY]) {
    for (const session of SESSIONS) {
      const request = { endpoint: gateway.url, credentials, session };
      assert.deepEqual(await boto({ ...request, operation: 'submit', prompt: 'Hello' }), { status: 202, session });
      assert.deepEqual(await boto({ ...request, operation: 'transcript' }), { status: 200, session });
      const { url } = await boto({ ...request, operation: 'presign', expires: 60 });
      assert.deepEqual(await fetchSession(url), { status: 200, session });
    }
  }
});

test('boto3 is refused with the wrong credentials', LIMIT, async (t) => {
  const gateway = await start(t);
  const boto = startBoto(t);
  for (const [credentials, status] of [
    [[PERMANENT[0], 'not the secret that it should be'], 401],
    [['AKIDNOBODY', PERMANENT[1]], 401],
    [TEMPORARY.slice(0, 2), 401],
    [['AKIDLAMBDA', PERMANENT[1]], 403], // it signs for execute-api
  ]) {
    const request = { endpoint: gateway.url, credentials, session: 'a=b:c' };
    assert.deepEqual(await boto({ ...request, operation: 'submit', prompt: 'Hello' }), { status }, credentials[0]);
    const { url } = await boto({ ...request, operation: 'presign', expires: 60 });
    assert.deepEqual(await fetchSession(url), { status }, credentials[0]);
  }
});

for (const [name, Handler] of [['HTTP/1.1', NodeHttpHandler], ['h2c', NodeHttp2Handler]]) {
  test(`the AWS SDK for JavaScript reaches every session with its signature over ${name}`, LIMIT, async (t) => {
    const gateway = await start(t);
    const send = sender(t, new Handler());
    for (const service of SERVICES) {
      const signer = signerOf(PERMANENT, service);
      for (const session of SESSIONS) {
        const submit = await signer.sign(requestFor(gateway, session, { prompt: 'Hello' }));
        assert.deepEqual(await send(submit), { status: 202, session }, service);
        const read = await signer.sign(requestFor(gateway, session));
        assert.deepEqual(await send(read), { status: 200, session }, service);
        const presigned = await signer.presign(requestFor(gateway, session), { expiresIn: 60 });
        assert.deepEqual(await send(presigned), { status: 200, session }, service);
      }
    }
  });
}

test('temporary credentials of the AWS SDK for JavaScript need their token', LIMIT, async (t) => {
  const gateway = await start(t);
  const send = sender(t, new NodeHttpHandler());
  const request = () => requestFor(gateway, 'a=b:c');
  const whole = signerOf(TEMPORARY, 'bedrock');
  assert.equal((await send(await whole.sign(request()))).status, 200);
  assert.equal((await send(await whole.presign(request(), { expiresIn: 60 }))).status, 200);
  const lacking = signerOf(TEMPORARY.slice(0, 2), 'bedrock');
  assert.equal((await send(await lacking.sign(request()))).status, 401);
  assert.equal((await send(await lacking.presign(request(), { expiresIn: 60 }))).status, 401);
});

test('a signature is good for what it was made for, and no longer than that', LIMIT, async (t) => {
  const gateway = await start(t);
  const send = sender(t, new NodeHttpHandler());
  const signer = signerOf(PERMANENT, 'execute-api');
  const good = await signer.sign(requestFor(gateway, 'a=b:c', { prompt: 'Hello' }));
  assert.equal((await send(good)).status, 202);
  const body = JSON.stringify({ prompt: 'Jello' }); // as long as the one that was signed
  assert.equal((await send(new HttpRequest({ ...good, body }))).status, 401);
  assert.equal((await send(new HttpRequest({ ...good, path: good.path.replace('%3A', '%3B') }))).status, 401);

  const past = new Date(Date.now() - 120_000);
  for (const [expiresIn, status] of [[60, 401], [180, 200]]) {
    const url = await signer.presign(requestFor(gateway, 'a=b:c'), { expiresIn, signingDate: past });
    assert.equal((await send(url)).status, status, `two minutes old, good for ${expiresIn} seconds`);
  }
  const old = await signer.sign(requestFor(gateway, 'a=b:c'), { signingDate: new Date(Date.now() - 600_000) });
  assert.equal((await send(old)).status, 401);
});

function signerOf([accessKeyId, secretAccessKey, sessionToken], service) {
  return new SignatureV4({ credentials: { accessKeyId, secretAccessKey, sessionToken }, region: 'us-east-1', service, sha256: Sha256 });
}

/** requestFor returns what a client of the SDK hands to its signer. */
function requestFor(gateway, session, prompt) {
  const { protocol, hostname, port, host } = new URL(gateway.url);
  // The SDK's extendedEncodeURIComponent, which also escapes what encodeURIComponent leaves alone.
  const id = encodeURIComponent(session).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  return new HttpRequest({
    protocol,
    hostname,
    port: Number(port),
    path: `/v1/sessions/${id}${prompt ? '/prompts' : ''}`,
    method: prompt ? 'POST' : 'GET',
    headers: { host, ...(prompt && { 'content-type': 'application/json' }) },
    body: prompt && JSON.stringify(prompt),
  });
}

/** sender returns a function that sends a request as the SDK does. */
function sender(t, handler) {
  defer(t, () => handler.destroy());
  return async (request) => {
    const { response } = await handler.handle(request);
    const chunks = await response.body.toArray();
    return outcome(response.statusCode, Buffer.concat(chunks).toString());
  };
}

async function fetchSession(url) {
  const response = await fetch(url);
  return outcome(response.status, await response.text());
}

const outcome = (status, text) => (status < 300 ? { status, session: JSON.parse(text).session } : { status });
