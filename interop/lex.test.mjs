// Amazon Lex: AWS's own clients, in Node and in a page, and a fulfillment as people wrote it for Lambda.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { DynamoDBClient, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { DeleteSessionCommand, LexRuntimeV2Client, PutSessionCommand, RecognizeTextCommand, RecognizeUtteranceCommand } from '@aws-sdk/client-lex-runtime-v2';

import { openBrowser } from './lib/browser.mjs';
import { bundle, serve } from './lib/bundle.mjs';
import { freePort, startGateway } from './lib/gateway.mjs';
import { defer, LIMIT, until } from './lib/wait.mjs';
import { openSocket } from './lib/websocket.mjs';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const KEY = ['AKIDLEX', 'a secret of the interop tests'];
const credentials = { accessKeyId: KEY[0], secretAccessKey: KEY[1] };
const MODEL = 'echo?ttft=0s&tps=100&tokens=40';
const BOT = { botId: 'RUNNELBOT0', botAliasId: 'RUNNELLIVE', localeId: 'en_US', sessionId: 'us-east-1:0a-b' };
const SOCKET = (first) => ({ name: 'lex', stages: ['Prod'], routes: [...first, { key: 'ping', integration: 'mock' }] });
const FOLLOWED = SOCKET([{ key: '$connect', integration: 'lex' }]);

const start = (t, config = {}, args = [], port = undefined) =>
  startGateway(t, {
    model: MODEL,
    args,
    port,
    config: { iam: { keys: [{ access_key: KEY[0], secret: KEY[1] }] }, websocket_apis: [FOLLOWED], ...config },
  });

function sdk(t, Client, gateway) {
  const client = new Client({ endpoint: gateway.url, region: 'us-east-1', credentials, maxAttempts: 1 });
  defer(t, () => client.destroy());
  return client;
}

test('the client for Lex over h2c has a model answer, which the session shows as it comes', LIMIT, async (t) => {
  const gateway = await start(t, { keys: [] });
  const lex = sdk(t, LexRuntimeV2Client, gateway);
  await lex.send(new PutSessionCommand({ ...BOT, sessionState: { dialogAction: { type: 'ElicitIntent' }, sessionAttributes: { kept: 'yes' } } }));
  const ask = (text) => lex.send(new RecognizeTextCommand({ ...BOT, text }));
  const { messages, sessionState, interpretations } = await ask('What is a log?');
  assert.equal(messages[0].contentType, 'CustomPayload');
  assert.deepEqual(sessionState.sessionAttributes, { kept: 'yes' });
  assert.deepEqual([sessionState.intent.state, sessionState.dialogAction.type, interpretations[0].intent.name], ['Fulfilled', 'Close', 'FallbackIntent']);
  const spoken = await lex.send(new RecognizeUtteranceCommand({ ...BOT, requestContentType: 'text/plain; charset=utf-8', inputStream: 'What is a log?' }));
  assert.equal(spoken.inputMode, 'Text');
  assert.ok(spoken.messages.length > 0);
  assert.equal((await lex.send(new DeleteSessionCommand(BOT))).sessionId, BOT.sessionId);
  await assert.rejects(ask(' '), { name: 'ValidationException' });
});

test('the client for DynamoDB finds the newest connection of a session', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: MODEL, config: { websocket_apis: [FOLLOWED] } }); // nobody is asked
  const table = sdk(t, DynamoDBClient, gateway);
  const get = (id) => table.send(new GetItemCommand({ TableName: 'runnel-streaming', Key: { sessionId: { S: id } } }));
  assert.equal((await get(BOT.sessionId)).Item, undefined);
  await openSocket(t, gateway, `/Prod?sessionId=${encodeURIComponent(BOT.sessionId)}`);
  const { Item } = await until('the connection is listed', async () => {
    const found = await get(BOT.sessionId);
    return found.Item && found;
  });
  assert.match(Item.connectionId.S, /^[\w-]{15}=$/);
  await table.send(new PutItemCommand({ TableName: 'runnel-streaming', Item: { sessionId: { S: 'other' }, connectionId: Item.connectionId } }));
  assert.deepEqual((await get('other')).Item.connectionId, Item.connectionId);
  await assert.rejects(table.send(new GetItemCommand({ TableName: 'nothing', Key: { sessionId: { S: 'x' } } })), { name: 'ResourceNotFoundException' });
});

/** folder makes one with a page that loads as a Lex Web UI does. */
async function folder(t) {
  const dir = await mkdtemp(join(tmpdir(), 'runnel-lex-'));
  defer(t, () => rm(dir, { recursive: true, force: true }));
  await writeFile(join(dir, 'lex-web-ui-loader.min.js'), await bundle('lex.ts'));
  return dir;
}

/** ask asks on the page, and returns what it has shown: as it came, and at the end. */
async function ask(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
  await page.waitForFunction(() => document.querySelector('.streaming')?.textContent.length > 10);
  await page.waitForSelector('.final');
  return page.evaluate(() => {
    const { textContent, dataset } = document.querySelector('.final');
    return { streamed: document.querySelector('.streamed').textContent, final: textContent, state: dataset.state };
  });
}

async function open(t, gateway, url = `${gateway.url.replace('http:', 'https:')}/lex/`) {
  const page = await (await openBrowser(t, { ignoreHTTPSErrors: true })).newPage();
  const said = [];
  page.on('console', (message) => said.push(message.text()));
  page.on('pageerror', (error) => said.push(String(error)));
  await page.goto(url);
  await page.waitForSelector('#text').catch((error) => {
    throw new Error(`the page did not load: ${said.join('\n')}`, { cause: error });
  });
  return page;
}

/** fulfillment is the function, which finds everything of AWS's at endpoint. */
function fulfillment(endpoint, env = {}) {
  const all = {
    AWS_ACCESS_KEY_ID: KEY[0], AWS_SECRET_ACCESS_KEY: KEY[1], AWS_DEFAULT_REGION: 'us-east-1', AWS_EC2_METADATA_DISABLED: 'true',
    AWS_DATA_PATH: path('lib/botocore'), ENDPOINT_URL: endpoint, PYTHONDONTWRITEBYTECODE: '1', ...env,
  };
  return {
    websocket_apis: [SOCKET([])],
    bedrock_models: [{ id: 'anthropic.claude-instant-v1', model: 'echo' }],
    functions: [{
      name: 'fulfill', command: ['/usr/bin/python3', '-I', path('lib/handlers/runtime.py')], handler: 'lexstream.handler',
      env: Object.entries(all).map(([name, value]) => `${name}=${value}`),
    }],
    lex: { guests: true, function: 'fulfill' },
  };
}

test('a tab that is closed while the answer comes: the handler is told, and the answer still given', LIMIT, async (t) => {
  const port = await freePort();
  const gateway = await startGateway(t, { model: 'echo?ttft=0s&tps=20&tokens=60', port, config: fulfillment(`http://127.0.0.1:${port}`) });
  const lex = sdk(t, LexRuntimeV2Client, gateway);
  const ask = async (sessionAttributes) => {
    const { messages } = await lex.send(new RecognizeTextCommand({ ...BOT, text: 'What is a log?', sessionState: { sessionAttributes } }));
    return messages[0].content;
  };
  const socket = await openSocket(t, gateway, `/Prod?sessionId=${encodeURIComponent(BOT.sessionId)}`);
  const answer = ask({ streamingEndpoint: `${gateway.url}/Prod`, streamingDynamoDbTable: 'runnel-streaming' });
  const [first] = await socket.receive(1);
  socket.ws.close();
  await socket.closed;
  const final = await answer;
  assert.ok(final.startsWith(`**Claude:** ${first}`), final);
  assert.match(gateway.log, /the tab was closed/);
  assert.equal(final, await ask({})); // which does not stream at all
});

const STATE = 'Fulfilled streamingDynamoDbTable,streamingEndpoint';

test('a page that believes itself at AWS, answered by a model', LIMIT, async (t) => {
  const gateway = await start(t, { lex: { guests: true, ui: await folder(t) } }, ['--dev-tls']);
  const page = await open(t, gateway);
  const { streamed, final, state } = await ask(page, 'What is a durable log?');
  assert.equal(streamed.trimEnd(), final.trimEnd());
  assert.equal(state, STATE);
});

test('the same page on a site of its own', LIMIT, async (t) => {
  const port = await freePort();
  const lex = `https://127.0.0.1:${port}/lex/`;
  const site = await serve(t, await bundle('lex.ts'), async () => `<script src="${lex}runnel-endpoints.js"></script>
    <script>addEventListener('load', () => new ChatBotUiLoader.FullPageLoader({ baseUrl: '${lex}' }).load().catch(console.error))</script>`);
  const gateway = await start(t, { cors_origins: [site], lex: { guests: true, ui: await folder(t) } }, ['--dev-tls'], port);
  const page = await open(t, gateway, site);
  const { streamed, final } = await ask(page, 'What is a durable log?');
  assert.equal(streamed.trimEnd(), final.trimEnd());
});

test('the same page, answered by a handler that streams as it did at AWS', LIMIT, async (t) => {
  const ui = await folder(t);
  const gateway = await startGateway(t, { model: MODEL, args: ['--dev-tls'] });
  await gateway.kill(); // it has a certificate now, which the handler must trust
  const config = fulfillment(gateway.url, { AWS_CA_BUNDLE: join(gateway.data, 'tls', 'ca.pem') });
  await gateway.configure({ ...config, iam: { keys: [{ access_key: KEY[0], secret: KEY[1] }] }, lex: { ...config.lex, ui } });
  await gateway.start();
  const page = await open(t, gateway);
  const { streamed, final, state } = await ask(page, 'What is a durable log?');
  assert.equal(final, `**Claude:** ${streamed}`);
  assert.ok(streamed.length > 50, streamed);
  assert.equal(state, STATE);
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
});

// What npm has as aws-lex-web-ui gets these from elsewhere when it starts.
const ELSEWHERE = {
  'https://sdk.amazonaws.com/js/aws-sdk-2.180.0.min.js': 'lex-web-ui-aws-sdk/dist/aws-sdk.min.js',
  'https://cdn.jsdelivr.net/npm/vue@2.5.13/dist/vue.min.js': 'lex-web-ui-vue/dist/vue.min.js',
  'https://unpkg.com/vuex@3.0.1/dist/vuex.min.js': 'lex-web-ui-vuex/dist/vuex.min.js',
  'https://unpkg.com/vuetify@0.17.6/dist/vuetify.min.js': 'lex-web-ui-vuetify/dist/vuetify.min.js',
  'https://unpkg.com/vuetify@0.17.6/dist/vuetify.min.css': 'lex-web-ui-vuetify/dist/vuetify.min.css',
};

test('the bundle that npm has, as it is, shows an answer', LIMIT, async (t) => {
  const gateway = await start(t, { lex: { guests: true, ui: path('node_modules/aws-lex-web-ui/dist') } }, ['--dev-tls']);
  const browser = await openBrowser(t, { ignoreHTTPSErrors: true });
  const page = await browser.newPage();
  const strangers = [];
  await page.route(/^https:\/\/(?!127\.0\.0\.1)/, (route) => {
    const url = route.request().url();
    if (ELSEWHERE[url]) return route.fulfill({ path: path(`node_modules/${ELSEWHERE[url]}`) });
    // The names of icons would show without their font.
    if (url.startsWith('https://fonts.googleapis.com/')) return route.fulfill({ contentType: 'text/css', body: '.material-icons { visibility: hidden }' });
    strangers.push(url);
    return route.abort();
  });
  await page.goto(`${gateway.url.replace('http:', 'https:')}/lex/`);
  await page.getByText('Ask me anything.').waitFor();
  await page.fill('#text-input', 'What is a durable log?');
  await page.press('#text-input', 'Enter');
  const texts = page.locator('.message-text');
  await texts.nth(2).waitFor();
  assert.deepEqual((await texts.allInnerTexts()).map((text) => text.slice(0, 34)), ['Ask me anything.', 'What is a durable log?', 'You said: “What is a durable log?”']);
  assert.deepEqual(strangers, []); // all else that it asked of AWS came here
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
});
