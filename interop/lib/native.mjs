import assert from 'node:assert/strict';

import { EventSourceParserStream } from 'eventsource-parser/stream';

export const TERMINAL = ['generation.done', 'generation.failed', 'generation.cancelled'];
export const TYPES = ['generation.queued', 'generation.started', 'delta', 'reasoning', 'tool', 'progress', 'reset', ...TERMINAL];

/** An Answer is what a page keeps of one generation, by the rules of docs/events.md. */
export class Answer {
  text = '';
  reasoning = '';
  tools = [];
  end = null; // the terminal event
  types = []; // of all events, in order
  models = []; // that were asked
  attempt = 0; // the last one
  arrivals = []; // when each delta arrived, in milliseconds

  apply(event) {
    assert.equal(event.v, 1);
    this.types.push(event.type);
    if (event.type === 'generation.queued') return; // which may be repeated after a crash
    if (event.type === 'reset') this.end = null; // a crash took it back
    assert.equal(this.end, null, `a ${event.type} after the end`);
    this.attempt = event.attempt;
    if (event.type === 'generation.started') this.models.push(event.model);
    if (event.type === 'delta') {
      this.text += event.text;
      this.arrivals.push(performance.now());
    }
    if (event.type === 'reasoning') this.reasoning += event.text;
    if (event.type === 'tool') this.#tool(event.tool);
    if (event.type === 'reset') {
      this.text = event.text;
      this.reasoning = event.reasoning ?? '';
      this.tools = [];
    }
    if (TERMINAL.includes(event.type)) this.end = event;
  }

  #tool({ index, id, name, input = '' }) {
    const call = (this.tools[index] ??= { id: '', name: '', input: '' });
    call.id += id ?? '';
    call.name += name ?? '';
    call.input += input;
  }
}

const sessionURL = (gateway, session) => `${gateway.url}/v1/sessions/${encodeURIComponent(session)}`;

/** post hands a prompt in and returns the response, whatever it is. */
export const post = (gateway, session, body, headers) =>
  fetch(`${sessionURL(gateway, session)}/prompts`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

/** submit hands a prompt in and returns its receipt. */
export async function submit(gateway, session, prompt) {
  const response = await post(gateway, session, { prompt });
  assert.equal(response.status, 202, await response.clone().text());
  return response.json();
}

/** ask hands a prompt in and returns its answer when it is complete. */
export async function ask(gateway, session, body) {
  const answer = new Answer();
  for await (const event of stream(gateway, session, body)) answer.apply(event);
  assert.ok(answer.end, `the stream ended without a terminal event after ${answer.types}`);
  return answer;
}

/** stream hands a prompt in and yields the events of its generation. */
export async function* stream(gateway, session, body) {
  const response = await post(gateway, session, body, { Accept: 'text/event-stream' });
  assert.equal(response.status, 200, response.ok ? '' : await response.text());
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  const ids = new Set();
  const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream({ onError: 'terminate' }));
  for await (const { event: type, id, data } of events) {
    const event = JSON.parse(data);
    assert.equal(event.type, type);
    assert.equal(event.generation, response.headers.get('runnel-generation'));
    assert.ok(!ids.has(id), `${id} came twice`);
    ids.add(id);
    yield event;
  }
}

/** transcript returns what a session has said so far. */
export const transcript = async (gateway, session, headers) => (await fetch(sessionURL(gateway, session), { headers })).json();

/** cancel stops a generation and returns the status of the answer. */
export async function cancel(gateway, generation) {
  const response = await fetch(`${gateway.url}/v1/generations/${generation}/cancel`, { method: 'POST' });
  await response.arrayBuffer();
  return response.status;
}
