// OpenAI's own client, and LangChain on top of it, against the OpenAI door.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ChatOpenAI } from '@langchain/openai';
import OpenAI from 'openai';

import { startGateway } from './lib/gateway.mjs';
import { transcript } from './lib/native.mjs';
import { LIMIT, until } from './lib/wait.mjs';

const QUICK = 'echo?ttft=0s&tps=0&tokens=40';
const SLOW = 'echo?ttft=20ms&tps=40&tokens=120'; // three seconds

const clientOf = (gateway, options = {}) => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'none', ...options });
const ask = (prompt) => ({ model: 'echo', messages: [{ role: 'user', content: prompt }] });

/** textOf is what the gateway keeps of the one answer in a session. */
const textOf = async (gateway, session) => (await transcript(gateway, session)).turns.at(-1).text;

/** stateOf is how the one generation of a session has ended, or undefined. */
const stateOf = async (gateway, session) => (await transcript(gateway, session)).turns.at(-1)?.state;

const sessionOf = (response) => decodeURIComponent(response.headers.get('runnel-session'));

test('a chat completion, whole and as a stream', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: QUICK });
  const client = clientOf(gateway);
  const { data: whole, response } = await client.chat.completions.create(ask('What is a log?')).withResponse();
  const text = await textOf(gateway, sessionOf(response));
  assert.equal(whole.choices[0].message.content, text);
  assert.equal(whole.choices[0].finish_reason, 'stop');
  assert.ok(whole.usage.total_tokens > 0);

  let streamed = '';
  let usage;
  for await (const chunk of await client.chat.completions.create({
    ...ask('What is a log?'),
    stream: true,
    stream_options: { include_usage: true },
  })) {
    streamed += chunk.choices[0]?.delta.content ?? '';
    usage = chunk.usage ?? usage;
  }
  assert.equal(streamed, text);
  assert.deepEqual(usage, whole.usage);

  const final = await client.chat.completions.stream(ask('What is a log?')).finalChatCompletion();
  assert.equal(final.choices[0].message.content, text);
});

test('models, and one that there is not', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: QUICK });
  const client = clientOf(gateway);
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.deepEqual(names, ['echo']);
  assert.equal((await client.models.retrieve('echo')).id, 'echo');
  await assert.rejects(client.chat.completions.create({ ...ask('Hello'), model: 'gpt-5' }), (err) => {
    assert.ok(err instanceof OpenAI.NotFoundError);
    assert.equal(err.code, 'model_not_found');
    return true;
  });
});

test('an aborted stream stops the model, unless its session was named', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const client = clientOf(gateway);
  for (const [header, state] of [
    [{}, 'cancelled'],
    [{ 'Runnel-Session': 'named' }, 'done'],
  ]) {
    const { data: stream, response } = await client.chat.completions
      .create({ ...ask('What is a log?'), stream: true }, { headers: header })
      .withResponse();
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break; // which aborts
    const session = sessionOf(response);
    await until(`the generation is ${state}`, async () => (await stateOf(gateway, session)) === state);
  }
});

test('a response in the background, followed, lost and resumed by its sequence number', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const client = clientOf(gateway);
  const { data: stream, response } = await client.responses
    .create({ model: 'echo', input: 'What is a log?', background: true, stream: true })
    .withResponse();
  let id;
  let text = '';
  let last;
  let deltas = 0;
  for await (const event of stream) {
    last = event.sequence_number;
    if (event.type === 'response.created') id = event.response.id;
    if (event.type === 'response.output_text.delta') text += event.delta;
    if (event.type === 'response.output_text.delta' && ++deltas === 5) break;
  }
  await gateway.kill(); // the gateway dies meanwhile, too
  await gateway.start();
  let end;
  for await (const event of await client.responses.retrieve(id, { stream: true, starting_after: last })) {
    assert.ok(event.sequence_number > last);
    if (event.type === 'response.output_text.delta') text += event.delta;
    if (event.type === 'response.completed') end = event.response;
  }
  assert.equal(text, await textOf(gateway, sessionOf(response)));
  assert.equal(end.output[0].content[0].text, text);
  const polled = await client.responses.retrieve(id);
  assert.equal(polled.status, 'completed');
  assert.equal(polled.output_text, text);
});

test('a response in the background is cancelled', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const client = clientOf(gateway);
  const { id } = await client.responses.create({ model: 'echo', input: 'What is a log?', background: true });
  assert.equal((await client.responses.cancel(id)).status, 'cancelled');
  await until('it is cancelled', async () => (await client.responses.retrieve(id)).status === 'cancelled');
});

test('a response goes on where another one ended', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: QUICK });
  const client = clientOf(gateway);
  const first = await client.responses.create({ model: 'echo', input: 'One?' });
  const { data: second, response } = await client.responses
    .create({ model: 'echo', input: 'Two?', previous_response_id: first.id })
    .withResponse();
  assert.equal(second.previous_response_id, first.id);
  const { turns } = await transcript(gateway, sessionOf(response));
  assert.deepEqual(
    turns.map(({ text }) => text),
    [first.output_text, second.output_text],
  );
});

test('LangChain streams and stops', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const model = new ChatOpenAI({ model: 'echo', apiKey: 'none', configuration: { baseURL: `${gateway.url}/v1` } });
  let text = '';
  for await (const chunk of await model.stream('What is a log?')) text += chunk.content;
  assert.equal(text, (await model.invoke('What is a log?')).content);

  const stop = new AbortController();
  let some = '';
  await assert.rejects(async () => {
    for await (const chunk of await model.stream('What is a log?', { signal: stop.signal })) {
      some += chunk.content;
      if (some) stop.abort();
    }
  });
  assert.ok(text.startsWith(some) && some.length < text.length);
});
