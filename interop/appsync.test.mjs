// Clients that were written for AppSync, and for other GraphQL servers, against the GraphQL door.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { Client as Urql, fetchExchange, subscriptionExchange } from '@urql/core';
import { Amplify } from 'aws-amplify';
import { events, generateClient } from 'aws-amplify/api';
import { createAuthLink } from 'aws-appsync-auth-link';
import { createSubscriptionHandshakeLink } from 'aws-appsync-subscription-link';
import { createClient as createSSEClient } from 'graphql-sse';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

import { startCut } from './lib/cut.mjs';
import { newKey, startGateway } from './lib/gateway.mjs';
import { Answer, submit, transcript } from './lib/native.mjs';
import { defer, LIMIT, until } from './lib/wait.mjs';

globalThis.WebSocket = WebSocket; // Node 20 has none

const QUICK = 'echo?ttft=0s&tps=0&tokens=60';
const SLOW = 'echo?ttft=20ms&tps=25&tokens=200'; // eight seconds: longer than it takes Amplify to come back

const ON_SEND_MESSAGE = /* GraphQL */ `
  subscription onSendMessage($sessionId: String!) {
    onSendMessage(sessionId: $sessionId) { locale message sessionId timeStamp }
  }`;
const GET_RESPONSE = /* GraphQL */ `
  query getLlmResponse($locale: String!, $message: String!, $sessionId: String!) {
    getLlmResponse(input: { locale: $locale, message: $message, sessionId: $sessionId }) { messages { content contentType } locale sessionId }
  }`;

const [START, END, ERROR] = ['#START_STREAM#', '#END_STREAM#', '#STREAM_ERROR#'];

/** A Bubble is what the page of the reference design shows of one answer. */
class Bubble {
  messages = [];

  take = (message) => {
    this.messages.push(message);
  };

  get text() {
    return this.messages.filter((m) => ![START, END, ERROR].includes(m)).join('');
  }

  get ended() {
    return this.messages.includes(END) || this.messages.includes(ERROR);
  }

  /** whole insists on the answer as the gateway keeps it, once and in order. */
  async whole(gateway, session, headers) {
    await until('the answer ends', () => this.ended);
    assert.equal(this.messages[0], START);
    assert.equal(this.messages.at(-1), END);
    assert.equal(this.messages.filter((m) => m === START || m === END).length, 2, this.messages.join('|'));
    assert.equal(this.text, (await transcript(gateway, session, headers)).turns.at(-1).text);
  }
}

/** amplify returns Amplify's client for the gateway, or for a proxy in front of it. */
function amplify(port, scheme = 'HTTP', apiKey = 'da2-any') {
  Amplify.configure({
    API: { GraphQL: { endpoint: `${scheme}://localhost:${port}/graphql`, region: 'us-east-1', defaultAuthMode: 'apiKey', apiKey } },
  });
  return generateClient();
}

/** publishWith has the Python publisher do a job, for the test t. */
async function publishWith(t, job) {
  const script = fileURLToPath(new URL('lib/publisher.py', import.meta.url));
  const child = spawn('/usr/bin/python3', ['-I', script], { env: {}, stdio: ['pipe', 'pipe', 'pipe'] });
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (err += text));
  defer(t, () => child.kill('SIGKILL'));
  child.stdin.end(`${JSON.stringify(job)}\n`);
  child.stdout.resume();
  const [code] = await once(child, 'close');
  assert.equal(code, 0, err);
}

const portOf = (gateway) => new URL(gateway.url).port;

const question = (session) => ({ locale: 'en_US', message: 'What is a log?', sessionId: session, history: [] });

/** watch shows a session with Amplify, as the page of the reference design does. */
function watch(client, session) {
  const bubble = new Bubble();
  const errors = [];
  const subscription = client.graphql({ query: ON_SEND_MESSAGE, variables: { sessionId: session } }).subscribe({
    next: ({ data }) => bubble.take(data.onSendMessage.message),
    error: (err) => errors.push(err),
  });
  return Object.assign(bubble, { errors, unsubscribe: () => subscription.unsubscribe() });
}

test('Amplify 6 asks, and shows the answer', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: QUICK });
  const client = amplify(portOf(gateway));
  const session = randomUUID();
  const bubble = watch(client, session);
  const { data } = await client.graphql({ query: GET_RESPONSE, variables: question(session) }); // without waiting for anything
  assert.deepEqual(data.getLlmResponse.messages, [{ content: 'success', contentType: 'PlainText' }]);
  await bubble.whole(gateway, session);
  bubble.unsubscribe();

  const second = watch(client, session);
  await client.graphql({ query: GET_RESPONSE, variables: question(session) });
  await second.whole(gateway, session);
  second.unsubscribe();
});

test('Amplify 6 is cut off in the middle, and goes on', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const proxy = await startCut(t, gateway.url);
  const client = amplify(proxy.port);
  const session = randomUUID();
  const bubble = watch(client, session);
  await client.graphql({ query: GET_RESPONSE, variables: question(session) });
  await until('there is some text', () => bubble.messages.length > 4);
  proxy.cut();
  const before = bubble.messages.length;
  await bubble.whole(gateway, session);
  assert.ok(bubble.messages.length > before);
  assert.deepEqual(bubble.errors, []);
  bubble.unsubscribe();
});

test('Amplify 6 sees the answer through a kill of the gateway', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const client = amplify(portOf(gateway));
  const session = randomUUID();
  const bubble = watch(client, session);
  await client.graphql({ query: GET_RESPONSE, variables: question(session) });
  await until('there is some text', () => bubble.messages.length > 4);
  await gateway.kill();
  await gateway.start();
  await until('the answer ends', () => bubble.ended, 40_000);
  // The gateway has forgotten what it had sent: the answer begins anew, with its marker.
  const again = new Bubble();
  bubble.messages.slice(bubble.messages.lastIndexOf(START)).forEach(again.take);
  await again.whole(gateway, session);
  bubble.unsubscribe();
});

test('a page that subscribes late sees the answer from its start', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const client = amplify(portOf(gateway));
  const session = randomUUID();
  await submit(gateway, session, 'What is a log?');
  const first = watch(client, session);
  await until('there is some text', () => first.messages.length > 4);
  const late = watch(client, session);
  await Promise.all([first.whole(gateway, session), late.whole(gateway, session)]);
  first.unsubscribe();
  late.unsubscribe();
});

test('Amplify 6 asks in plaintext and listens over TLS, as it does for http://', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: QUICK, args: ['--dev-tls'] });
  const sockets = [];
  globalThis.WebSocket = class extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { rejectUnauthorized: false }); // nobody has installed the certificate
      sockets.push(String(url));
    }
  };
  defer(t, () => (globalThis.WebSocket = WebSocket));
  const client = amplify(portOf(gateway), 'http');
  const session = randomUUID();
  const bubble = watch(client, session);
  await client.graphql({ query: GET_RESPONSE, variables: question(session) });
  await bubble.whole(gateway, session);
  bubble.unsubscribe();
  assert.deepEqual(sockets, [`wss://localhost:${portOf(gateway)}/graphql/realtime`]);
});

test('Amplify 6 is told when a mutation has ended its subscription', LIMIT, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'runnel-schema-'));
  defer(t, () => rm(dir, { recursive: true, force: true }));
  const schema = join(dir, 'schema.graphql');
  await writeFile(schema, `
    type Said { group: String text: String }
    type Mutation { say(group: String, text: String): Said  leave(group: String): Boolean }
    type Subscription { onSay(group: String): Said @aws_subscribe(mutations: ["say"]) }`);
  const gateway = await startGateway(t, {
    model: QUICK,
    config: {
      graphql: {
        schema: [schema],
        fields: [
          { field: 'Mutation.say', do: 'constant', result: '{"group":"$args.group","text":"$args.text"}' },
          { field: 'Mutation.leave', do: 'constant', result: 'true', invalidate: [{ subscription: 'onSay', payload: '{"group":"$args.group"}' }] },
        ],
      },
    },
  });
  const client = amplify(portOf(gateway));
  const listen = (group) => {
    const heard = { texts: [], errors: [] };
    const query = 'subscription OnSay($group: String) { onSay(group: $group) { group text } }';
    const subscription = client.graphql({ query, variables: { group } }).subscribe({
      next: ({ data }) => heard.texts.push(data.onSay.text),
      error: ({ errors }) => heard.errors.push(errors[0].message),
    });
    defer(t, () => subscription.unsubscribe());
    return heard;
  };
  const say = (group, text) =>
    client.graphql({ query: 'mutation Say($group: String, $text: String) { say(group: $group, text: $text) { group text } }', variables: { group, text } });
  const [red, green] = [listen('red'), listen('green')];
  for (const [group, heard] of [['red', red], ['green', green]]) {
    await until(`${group} hears`, async () => {
      await say(group, 'before');
      return heard.texts.length > 0;
    });
  }
  await client.graphql({ query: 'mutation { leave(group: "red") }' });
  await until('the application is told', () => red.errors.length > 0);
  assert.match(red.errors[0], /SubscriptionInvalidated/);
  await until('the other subscription is there again', async () => {
    await say('red', 'after');
    await say('green', 'after');
    return green.texts.includes('after');
  });
  assert.ok(!red.texts.includes('after'));
  assert.deepEqual(green.errors, []);
});

test('a Python publisher signs, and sends one mutation for each group', LIMIT, async (t) => {
  const credentials = ['AKIDPUBLISHER', 'a secret of the interop tests'];
  const { key, entry } = await newKey('page');
  const gateway = await startGateway(t, {
    model: QUICK,
    config: { keys: [entry], iam: { keys: [{ access_key: credentials[0], secret: credentials[1] }] } },
  });
  const client = amplify(portOf(gateway), 'HTTP', key);
  const session = randomUUID();
  const bubble = watch(client, session);
  const groups = Array.from({ length: 40 }, (_, i) => `${i} <é> & "words"\n`);
  const messages = [START, ...groups, END];
  await publishWith(t, { endpoint: `${gateway.url}/graphql`, credentials, session, messages });
  await until('the answer ends', () => bubble.ended);
  assert.deepEqual(bubble.messages, messages);
  bubble.unsubscribe();
  const response = await fetch(`${gateway.url}/v1/sessions/${session}`, { headers: { 'x-api-key': key } });
  assert.equal((await response.json()).turns[0].text, groups.join(''));
});

test('graphql-ws asks, is cut off in the middle, and goes on', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const proxy = await startCut(t, gateway.url);
  const client = createClient({ url: `ws://127.0.0.1:${proxy.port}/graphql`, webSocketImpl: WebSocket, retryAttempts: 5, shouldRetry: () => true });
  defer(t, () => client.dispose());
  const session = randomUUID();
  const bubble = new Bubble();
  client.subscribe({ query: ON_SEND_MESSAGE, variables: { sessionId: session } }, {
    next: ({ data }) => bubble.take(data.onSendMessage.message),
    error: (err) => bubble.take(String(err)),
    complete: () => {},
  });
  const answers = client.iterate({ query: GET_RESPONSE, variables: { locale: 'en_US', message: 'What is a log?', sessionId: session } });
  for await (const { data } of answers) assert.equal(data.getLlmResponse.messages[0].content, 'success');
  await until('there is some text', () => bubble.messages.length > 4);
  proxy.cut();
  await bubble.whole(gateway, session);
});

test('graphql-sse has one connection for all operations, is cut off in the middle, and comes back', LIMIT, async (t) => {
  const { key, entry } = await newKey('page');
  const other = await newKey('late');
  const gateway = await startGateway(t, { model: SLOW, config: { keys: [entry, other.entry] } });
  const proxy = await startCut(t, gateway.url);
  let streams = 0;
  const connect = (apiKey) => {
    const client = createSSEClient({
      url: `http://127.0.0.1:${proxy.port}/graphql`,
      singleConnection: true,
      headers: () => ({ 'x-api-key': apiKey }),
      on: { connected: () => (streams += 1) },
    });
    defer(t, () => client.dispose());
    return client;
  };
  const client = connect(key);
  const session = randomUUID();
  const look = (from) => {
    const bubble = new Bubble();
    const done = (err) => err && bubble.take(String(err));
    bubble.unsubscribe = from.subscribe({ query: ON_SEND_MESSAGE, variables: { sessionId: session } }, {
      next: ({ data }) => bubble.take(data.onSendMessage.message),
      error: done,
      complete: done,
    });
    return bubble;
  };
  const [first, second] = [look(client), look(client)];
  for await (const { data } of client.iterate({ query: GET_RESPONSE, variables: { locale: 'en_US', message: 'What is a log?', sessionId: session } })) {
    assert.equal(data.getLlmResponse.messages[0].content, 'success');
  }
  await until('both show some text', () => first.messages.length > 4 && second.messages.length > 4);
  assert.equal(streams, 1);
  second.unsubscribe();
  proxy.cut();
  const late = look(connect(other.key));
  await late.whole(gateway, session, { 'x-api-key': key });
  await until('the answer ends', () => first.ended);
  // Nothing tells over HTTP what has arrived: the answer begins anew, with its marker.
  const again = new Bubble();
  first.messages.slice(first.messages.lastIndexOf(START)).forEach(again.take);
  await again.whole(gateway, session, { 'x-api-key': key });
  assert.equal(first.messages.filter((m) => m === START).length, 2);
  first.unsubscribe();
  late.unsubscribe();
});

/** urql returns urql's client, whose socket comes back by itself. */
function urql(t, port) {
  const ws = createClient({ url: `ws://127.0.0.1:${port}/graphql`, webSocketImpl: WebSocket, retryAttempts: 5, shouldRetry: () => true });
  defer(t, () => ws.dispose());
  const forwardSubscription = (request) => ({ subscribe: (sink) => ({ unsubscribe: ws.subscribe({ ...request, query: request.query ?? '' }, sink) }) });
  return new Urql({
    url: `http://127.0.0.1:${port}/graphql`,
    preferGetMethod: false,
    exchanges: [fetchExchange, subscriptionExchange({ forwardSubscription })],
  });
}

test('urql asks, is cut off in the middle, and goes on, and so does a page that is late', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const proxy = await startCut(t, gateway.url);
  const session = randomUUID();
  const look = (client) => {
    const bubble = Object.assign(new Bubble(), { errors: [] });
    const shown = client.subscription(ON_SEND_MESSAGE, { sessionId: session });
    const { unsubscribe } = shown.subscribe(({ data, error }) => (error ? bubble.errors.push(error) : bubble.take(data.onSendMessage.message)));
    return Object.assign(bubble, { unsubscribe });
  };
  const client = urql(t, proxy.port);
  const bubble = look(client);
  const { data, error } = await client.query(GET_RESPONSE, { locale: 'en_US', message: 'What is a log?', sessionId: session }).toPromise();
  assert.equal(error, undefined);
  assert.equal(data.getLlmResponse.sessionId, session);
  await until('there is some text', () => bubble.messages.length > 4);
  proxy.cut();
  const before = bubble.messages.length;
  await until('the client comes back', () => bubble.messages.length > before);
  const late = look(urql(t, proxy.port)); // one client asks for the same only once
  await until('there is some text', () => late.messages.length > 4);
  proxy.cut();
  for (const page of [bubble, late]) {
    await page.whole(gateway, session);
    assert.deepEqual(page.errors, []);
    page.unsubscribe();
  }
});

/** apollo returns Apollo's client with the links that AWS has for it. */
function apollo(t, url, key) {
  const options = { url: `${url}/graphql`, region: 'us-east-1', auth: { type: 'API_KEY', apiKey: key } };
  const client = new ApolloClient({
    link: ApolloLink.from([createAuthLink(options), createSubscriptionHandshakeLink(options, new HttpLink({ uri: options.url }))]),
    cache: new InMemoryCache(),
  });
  defer(t, () => client.stop());
  return client;
}

test('Apollo asks, is cut off in the middle, and its user subscribes again', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const proxy = await startCut(t, gateway.url);
  const client = apollo(t, `http://127.0.0.1:${proxy.port}`, 'da2-any');
  const session = randomUUID();
  const look = () => {
    const bubble = new Bubble();
    const failed = [];
    const subscription = client.subscribe({ query: gql(ON_SEND_MESSAGE), variables: { sessionId: session } }).subscribe({
      next: ({ data, error }) => (data ? bubble.take(data.onSendMessage.message) : failed.push(error)),
      error: (err) => failed.push(err),
      complete: () => failed.push('complete'),
    });
    return Object.assign(bubble, { failed, unsubscribe: () => subscription.unsubscribe() });
  };
  const first = look();
  const { data } = await client.query({
    query: gql(GET_RESPONSE),
    variables: { locale: 'en_US', message: 'What is a log?', sessionId: session },
    fetchPolicy: 'no-cache',
  });
  assert.equal(data.getLlmResponse.__typename, 'GetLlmResponse');
  await until('there is some text', () => first.messages.length > 4);
  proxy.cut();
  await until('Apollo says that the connection is gone', () => first.failed.length > 0);
  const second = look();
  await second.whole(gateway, session);
  second.unsubscribe();
});

test('Amplify publishes to a channel, and listens to one', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: QUICK });
  Amplify.configure({
    API: { Events: { endpoint: `HTTP://localhost:${portOf(gateway)}/event`, region: 'us-east-1', defaultAuthMode: 'apiKey', apiKey: 'da2-any' } },
  });
  const channel = await events.connect('/default/chat');
  defer(t, () => channel.close());
  const heard = [];
  channel.subscribe({ next: ({ event }) => heard.push(event), error: (err) => heard.push(err) });
  const sent = [];
  for (let i = 0; i < 10; i++) {
    sent.push({ i, text: '<é>' });
    await until('it has subscribed', async () => {
      if (i > 0) return true;
      await events.post('/default/chat', { hello: true });
      return heard.length > 0;
    });
    if (i % 2 === 0) assert.equal(await events.post('/default/chat', sent.at(-1)), undefined);
    else await channel.publish(sent.at(-1));
  }
  await until('all has come', () => heard.filter(({ i }) => i !== undefined).length >= sent.length);
  assert.deepEqual(heard.filter(({ i }) => i !== undefined), sent);

  const session = `channel-${Date.now()}`;
  const answer = new Answer();
  const log = await events.connect(`/sessions/${session}`);
  defer(t, () => log.close());
  log.subscribe({ next: ({ event }) => answer.apply(event), error: (err) => assert.fail(err) });
  // Nothing tells when Amplify has subscribed, and an answer that has ended by then is not shown.
  await until('it has subscribed', async () => /^runnel_sessions_read [1-9]/m.test(await (await fetch(`${gateway.url}/metrics`)).text()));
  await submit(gateway, session, 'What is a log?');
  await until('the answer ends', () => answer.end);
  assert.equal(answer.text, (await transcript(gateway, session)).turns[0].text);
});

test('channels of Amplify, one of them late, are cut off in the middle, and go on', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const proxy = await startCut(t, gateway.url);
  Amplify.configure({
    API: { Events: { endpoint: `HTTP://localhost:${proxy.port}/event`, region: 'us-east-1', defaultAuthMode: 'apiKey', apiKey: 'da2-any' } },
  });
  const session = `channel-${Date.now()}`;
  const look = async () => {
    const answer = Object.assign(new Answer(), { errors: [] });
    const channel = await events.connect(`/sessions/${session}`);
    channel.subscribe({ next: ({ event }) => answer.apply(event), error: (err) => answer.errors.push(err) });
    defer(t, () => channel.close());
    return answer;
  };
  const first = await look();
  await submit(gateway, session, 'What is a log?');
  await until('there is some text', () => first.arrivals.length > 4);
  const late = await look();
  await until('there is some text, too', () => late.arrivals.length > 4);
  proxy.cut();
  await until('both answers end', () => first.end && late.end);
  const { text } = (await transcript(gateway, session)).turns[0];
  for (const answer of [first, late]) {
    assert.equal(answer.text, text);
    assert.deepEqual(answer.errors, []);
  }
});
