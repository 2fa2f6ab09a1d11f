// Amazon's own clients against the Bedrock door.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import { NodeHttp2Handler } from '@smithy/node-http-handler';

import { ARN, check, converse, EVENTS, joined, messages } from './lib/bedrock.mjs';
import { startBoto } from './lib/boto.mjs';
import { newKey, startGateway } from './lib/gateway.mjs';
import { startScripted } from './lib/scripted.mjs';
import { defer, LIMIT } from './lib/wait.mjs';

const KEY = ['AKIDBEDROCK', 'a secret of the interop tests'];

async function start(t, options = {}) {
  const { key, entry } = await newKey('bedrock');
  const model = `openai/scripted?base_url=${await startScripted(t)}/v1`;
  const gateway = await startGateway(t, {
    model,
    config: {
      keys: [entry],
      iam: { keys: [{ access_key: KEY[0], secret: KEY[1], actions: ['bedrock:*'] }] },
      bedrock_models: [{ id: 'anthropic.*', model: 'openai/scripted' }],
      retries: 0,
    },
    ...options,
  });
  return { gateway, key };
}

function sdk(t, endpoint, options = {}) {
  const client = new BedrockRuntimeClient({
    endpoint, region: 'us-east-1', maxAttempts: 1, credentials: { accessKeyId: KEY[0], secretAccessKey: KEY[1] }, ...options,
  });
  defer(t, () => client.destroy());
  return client;
}

test('the client for JavaScript over h2c, with a signature', LIMIT, async (t) => {
  const { gateway, key } = await start(t);
  const client = sdk(t, gateway.url);
  await check(client);
  assert.ok(client.config.requestHandler instanceof NodeHttp2Handler, 'the client does not speak HTTP/2');
  const said = await (await fetch(`${gateway.url}/v1/sessions/mine`, { headers: { 'X-Api-Key': key } })).json();
  assert.equal(said.turns[0].text, 'Größe 😀');
});

test('the client for JavaScript over TLS and h2, with a key as bearer', LIMIT, async (t) => {
  const { gateway, key } = await start(t, { args: ['--dev-tls'] });
  const endpoint = gateway.url.replace('http:', 'https:');
  // Whom HTTP/2 trusts is settled when a process starts. Where there is a key the client takes it, not credentials.
  await promisify(execFile)(process.execPath, [fileURLToPath(new URL('lib/bedrockchild.mjs', import.meta.url)), endpoint], {
    env: { NODE_EXTRA_CA_CERTS: join(gateway.data, 'tls', 'ca.pem'), AWS_BEARER_TOKEN_BEDROCK: key },
  });
});

test('credentials that may not', LIMIT, async (t) => {
  const { gateway } = await start(t);
  const wrong = sdk(t, gateway.url, { credentials: { accessKeyId: KEY[0], secretAccessKey: 'not the secret that it should be' } });
  await assert.rejects(converse(wrong, 'all'), { name: 'InvalidSignatureException' });
});

test('boto3, with a description of the runtime', LIMIT, async (t) => {
  const { gateway } = await start(t);
  const boto = startBoto(t, 'botobedrock.py');
  const call = (rest) => boto({ endpoint: gateway.url, credentials: KEY, model: ARN, ...rest });
  const { said } = await call({ messages: messages('all') });
  assert.deepEqual(joined(said), EVENTS);
  assert.equal((await call({ messages: messages('fail') })).code, 'throttlingException');
  assert.equal((await call({ messages: messages('refuse') })).code, 'ThrottlingException');
  const body = { prompt: '\n\nHuman: all\n\nAssistant:', max_tokens_to_sample: 9 };
  const legacy = await call({ model: 'anthropic.claude-instant-v1', body });
  assert.equal(legacy.said[0], 'application/json');
  assert.equal(legacy.said.slice(1).map((chunk) => chunk.completion).join(''), 'Größe 😀');
  assert.equal(legacy.said.at(-1).stop_reason, 'stop_sequence');
  const whole = await call({ model: 'anthropic.claude-v2:1', body, whole: true });
  assert.deepEqual(whole.said, [{ body: { type: 'completion', completion: 'Größe 😀', stop_reason: 'stop_sequence', stop: null }, inputTokens: '3' }]);
});
