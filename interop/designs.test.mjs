// The three designs that stream answers through AppSync, end to end: each with a client
// written from its description, with Runnel as the orchestrator and with one outside.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { Amplify } from 'aws-amplify';
import { generateClient } from 'aws-amplify/api';
import { API, graphqlOperation } from 'aws-amplify-5';
import { createAuthLink } from 'aws-appsync-auth-link';
import { createSubscriptionHandshakeLink } from 'aws-appsync-subscription-link';
import { WebSocket } from 'ws';

import { startCut } from './lib/cut.mjs';
import { freePort, newKey, startGateway } from './lib/gateway.mjs';
import { defer, LIMIT, until } from './lib/wait.mjs';

globalThis.WebSocket = WebSocket; // Node 20 has none

// Beside Amplify 6, npm gives Amplify 5 more than one core, and Amplify.configure does not reach its sockets.
const { InternalPubSub } = createRequire(import.meta.resolve('aws-amplify-5'))('@aws-amplify/pubsub/internals');

const CREDENTIALS = ['AKIDORCHESTRATOR', 'a secret of the interop tests'];
const WORDS = Array.from({ length: 250 }, (_, i) => (i % 40 === 7 ? ' <"é"> & \n' : `${i} `));
const PAUSE = 0.03; // seconds: eight for an answer, which is longer than it takes Amplify to come back
const SLOW = 'echo?ttft=20ms&tps=25&tokens=250';

/** A Page is what a client has been shown. */
class Page {
  shown = [];
  errors = [];
  ended = false;

  /** The text of the last answer; an answer that is begun anew replaces what was there. */
  get text() {
    return this.shown.join('');
  }
}

/** The page of the reference implementation: messages between markers, with Amplify 5. */
const messages = {
  field: 'Query.getLlmResponse',
  starts: 1,
  async fails(page, whole, outside) {
    await until('the page shows a failure', () => page.state === 'failed');
    assert.equal(page.starts, 1);
    const sentence = outside ? 'Sorry, I was not able to answer your question.' : "Désolé, je n'ai pas pu répondre à votre question.";
    assert.equal(page.shown.pop(), sentence);
    assert.equal(page.text, await whole());
  },
  connect(endpoint, apiKey) {
    const config = {
      aws_appsync_graphqlEndpoint: endpoint,
      aws_appsync_region: 'us-east-1',
      aws_appsync_authenticationType: 'API_KEY',
      aws_appsync_apiKey: apiKey,
      aws_appsync_dangerously_connect_to_http_endpoint_for_testing: true,
    };
    API.configure(config);
    InternalPubSub.configure(config);
    const look = (sessionId) => {
      const page = Object.assign(new Page(), { starts: 0, state: 'pending' });
      const end = (state) => {
        Object.assign(page, { state, ended: true });
        subscription.unsubscribe();
      };
      const query = 'subscription onSendMessage($sessionId: String!) { onSendMessage(sessionId: $sessionId) { locale message sessionId timeStamp } }';
      const subscription = API.graphql(graphqlOperation(query, { sessionId })).subscribe({
        next: ({ value }) => {
          const { message } = value.data.onSendMessage;
          if (message === '#START_STREAM#') Object.assign(page, { starts: page.starts + 1, state: 'speaking', shown: [] });
          else if (message === '#END_STREAM#') end('done');
          else if (message === '#STREAM_ERROR#') end('failed');
          else page.shown.push(message);
        },
        error: (err) => page.errors.push(err),
      });
      return page;
    };
    return {
      look,
      async ask(message, { session = randomUUID(), locale = 'en_US' } = {}) {
        const page = look(session); // without waiting for anything
        const query = `query getLlmResponse($locale: String!, $message: String!, $sessionId: String!) {
          getLlmResponse(input: {locale: $locale, message: $message, sessionId: $sessionId}) { messages { content contentType } locale sessionId } }`;
        const { data } = await API.graphql(graphqlOperation(query, { locale, message, sessionId: session, history: [] }));
        assert.deepEqual(data.getLlmResponse, { messages: [{ content: 'success', contentType: 'PlainText' }], locale, sessionId: session });
        return { session, page };
      },
    };
  },
};

/** The second design: no session and no end, only chunks for whoever listens, with Amplify 6. */
const chunks = {
  field: 'Mutation.ModelSet',
  async fails(page, whole) {
    await until('what there is of the answer has come', async () => page.text !== '' && page.text === (await whole()));
  },
  connect(endpoint, apiKey) {
    Amplify.configure({
      API: { GraphQL: { endpoint: endpoint.replace('http:', 'HTTP:'), region: 'us-east-1', defaultAuthMode: 'apiKey', apiKey } },
    });
    const client = generateClient();
    const look = () => {
      const page = new Page();
      const subscription = client.graphql({ query: 'subscription { chat }' }).subscribe({
        next: ({ data }) => page.shown.push(data.chat),
        error: (err) => page.errors.push(err),
      });
      page.close = () => subscription.unsubscribe();
      return page;
    };
    return {
      look,
      async ask(prompt) {
        const page = look();
        const { data } = await client.graphql({ query: 'mutation Ask($prompt: String) { ModelSet(prompt: $prompt) }', variables: { prompt } });
        assert.equal(data.ModelSet, true);
        return { session: 'chat', page };
      },
    };
  },
};

/** The third design: tokens of a session that the prompt's receipt names, with Apollo. */
const tokens = {
  field: 'Mutation.startStream',
  userComesBack: true, // Apollo's link does not connect again by itself
  async fails(page, whole) {
    await until('the answer is complete', () => page.ended);
    assert.equal(page.text, await whole());
  },
  connect(endpoint, apiKey, t) {
    const options = { url: endpoint, region: 'us-east-1', auth: { type: 'API_KEY', apiKey } };
    const client = new ApolloClient({
      link: ApolloLink.from([createAuthLink(options), createSubscriptionHandshakeLink(options, new HttpLink({ uri: endpoint }))]),
      cache: new InMemoryCache(),
    });
    defer(t, () => client.stop());
    const look = (sessionId) => {
      const page = new Page();
      const query = gql`subscription OnToken($sessionId: String!) { onTokenReceived(sessionId: $sessionId) { sessionId token isComplete timestamp } }`;
      const subscription = client.subscribe({ query, variables: { sessionId } }).subscribe({
        next: ({ data, error }) => {
          if (error) return page.errors.push(error);
          const { token, isComplete } = data.onTokenReceived;
          assert.ok(!page.ended, 'a token after the last');
          page.shown.push(token);
          if (isComplete) {
            assert.equal(token, '');
            page.ended = true;
          }
        },
        error: (err) => page.errors.push(err),
      });
      page.close = () => subscription.unsubscribe();
      return page;
    };
    return {
      look,
      async ask(prompt) {
        const mutation = gql`mutation Start($prompt: String!) { startStream(prompt: $prompt) { sessionId status timestamp } }`;
        const { data } = await client.mutate({ mutation, variables: { prompt } });
        assert.equal(data.startStream.status, 'streaming_started');
        const session = data.startStream.sessionId;
        return { session, page: look(session) };
      },
    };
  },
};

const DESIGNS = { messages, chunks, tokens };

/** startDesign starts a gateway whose prompts go to the echo model, or to an orchestrator outside. */
async function startDesign(t, design, outside, model = SLOW) {
  const { key, entry } = await newKey('page');
  const port = await freePort(); // the orchestrator must know it, and the gateway the orchestrator's
  const config = { keys: [entry], iam: { keys: [{ access_key: CREDENTIALS[0], secret: CREDENTIALS[1] }] } };
  if (outside) {
    const url = await startOrchestrator(t, `http://127.0.0.1:${port}/graphql`);
    config.graphql = { fields: [{ field: design.field, do: 'http', url }] };
  }
  const gateway = await startGateway(t, { model, config, port });
  const proxy = await startCut(t, gateway.url);
  const door = design.connect(`http://localhost:${proxy.port}/graphql`, key, t);
  /** whole is an answer as every other door has it. */
  const whole = async (session) => {
    const response = await fetch(`${gateway.url}/v1/sessions/${session}`, { headers: { 'x-api-key': key } });
    return (await response.json()).turns?.at(-1)?.text;
  };
  return { gateway, proxy, door, whole: outside ? async () => WORDS.join('') : whole };
}

async function startOrchestrator(t, endpoint) {
  const script = fileURLToPath(new URL('lib/orchestrator.py', import.meta.url));
  const child = spawn('/usr/bin/python3', ['-I', script], { env: {}, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stderr.setEncoding('utf8').on('data', (text) => t.diagnostic(text));
  const exited = once(child, 'exit');
  defer(t, async () => {
    child.kill('SIGKILL');
    await exited;
  });
  child.stdin.end(`${JSON.stringify({ endpoint, credentials: CREDENTIALS, words: WORDS, pause: PAUSE })}\n`);
  const [port] = await once(child.stdout.setEncoding('utf8'), 'data');
  return `http://127.0.0.1:${Number(port)}/`;
}

/** ends waits for the answer's end; where the design has none, for all of its text. */
async function ends(page, whole) {
  await until('the answer ends', async () => page.ended || page.text === (await whole()), 40_000);
  assert.equal(page.text, await whole());
  assert.deepEqual(page.errors, []);
}

const CASES = Object.entries(DESIGNS).flatMap(([name, design]) => [
  { name: `${name} by Runnel`, design, outside: false },
  { name: `${name} by an orchestrator outside`, design, outside: true },
]);

for (const { name, design, outside } of CASES) {
  test(`${name}: cut off in the middle, and somebody late`, LIMIT, async (t) => {
    const { proxy, door, whole } = await startDesign(t, design, outside);
    let { session, page } = await door.ask('What is a log?');
    await until('there is some text', () => page.shown.length > 4);
    let late = door.look(session);
    await until('there is some text, too', () => late.shown.length > 4);
    proxy.cut();
    if (design.userComesBack) {
      await until('the client says that the connection is gone', () => page.errors.length > 0 && late.errors.length > 0);
      page = door.look(session);
      late = door.look(session);
    }
    await ends(page, () => whole(session));
    await ends(late, () => whole(session));
    assert.equal(page.starts, design.starts);
    assert.equal(late.starts, design.starts);
    page.close?.();
    late.close?.();
  });

  test(`${name}: an answer that fails`, LIMIT, async (t) => {
    const { door, whole } = await startDesign(t, design, outside, 'echo?ttft=0s&tps=50&tokens=60&fail=after:10');
    const { session, page } = await door.ask('fail', { locale: 'fr_CA' });
    const text = outside ? WORDS.slice(0, 10).join('') : null;
    await design.fails(page, async () => text ?? (await whole(session)), outside);
    assert.deepEqual(page.errors, []);
    page.close?.();
  });
}

// The second design has no mark by which a page could tell that an answer begins anew.
for (const { name, design, outside } of CASES.filter((c) => c.design !== chunks)) {
  test(`${name}: the gateway is killed in the middle`, LIMIT, async (t) => {
    const { gateway, door, whole } = await startDesign(t, design, outside);
    let { session, page } = await door.ask('What is a log?');
    await until('there is some text', () => page.shown.length > 4);
    await gateway.kill();
    await gateway.start();
    if (design.userComesBack) {
      await until('the client says that the connection is gone', () => page.errors.length > 0);
      page = door.look(session);
    }
    await ends(page, () => whole(session));
    page.close?.();
  });
}
