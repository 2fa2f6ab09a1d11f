import assert from 'node:assert/strict';

import {
  ConverseCommand, ConverseStreamCommand, InvokeModelCommand, InvokeModelWithResponseStreamCommand, ThrottlingException,
} from '@aws-sdk/client-bedrock-runtime';

export const ARN = 'arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0';
export const EVENTS = [
  { messageStart: { role: 'assistant' } },
  { contentBlockDelta: { contentBlockIndex: 0, delta: { reasoningContent: { text: 'hm' } } } },
  { contentBlockStop: { contentBlockIndex: 0 } },
  { contentBlockDelta: { contentBlockIndex: 1, delta: { text: 'Größe 😀' } } },
  { contentBlockStop: { contentBlockIndex: 1 } },
  { contentBlockStart: { contentBlockIndex: 2, start: { toolUse: { toolUseId: 'call_1', name: 'add' } } } },
  { contentBlockDelta: { contentBlockIndex: 2, delta: { toolUse: { input: '{"a":1}' } } } },
  { contentBlockStop: { contentBlockIndex: 2 } },
  { messageStop: { stopReason: 'tool_use' } },
  { metadata: { usage: { inputTokens: 3, outputTokens: 5, totalTokens: 8 } } },
];

/** joined makes one delta of those of a block that follow each other: how they are cut is a matter of time. */
export function joined(events) {
  const out = [];
  for (const event of events) {
    const last = out.at(-1)?.contentBlockDelta;
    const input = event.contentBlockDelta?.delta.toolUse?.input;
    if (input !== undefined && last?.delta.toolUse) last.delta.toolUse.input += input;
    else out.push(event);
  }
  return out;
}

export const messages = (text) => [{ role: 'user', content: [{ text }] }];

export async function converse(client, text, modelId = ARN) {
  const events = [];
  const { stream } = await client.send(new ConverseStreamCommand({ modelId, messages: messages(text) }));
  for await (const event of stream) {
    if (event.metadata) delete event.metadata.metrics;
    events.push(event);
  }
  return joined(events);
}

/** check has a client do everything that there is. */
export async function check(client) {
  assert.deepEqual(await converse(client, 'all'), EVENTS);
  const whole = await client.send(new ConverseCommand({ modelId: ARN, messages: messages('all'), requestMetadata: { session: 'mine' } }));
  assert.deepEqual(whole.output.message.content.slice(1), [
    { text: 'Größe 😀' }, { toolUse: { toolUseId: 'call_1', name: 'add', input: { a: 1 } } },
  ]);
  await assert.rejects(converse(client, 'refuse'), ThrottlingException);
  await assert.rejects(converse(client, 'fail'), ThrottlingException);
  await assert.rejects(converse(client, 'all', 'nobody.model-v1:0'), { name: 'ResourceNotFoundException' });
  const body = JSON.stringify({ anthropic_version: 'bedrock-2023-05-31', max_tokens: 9, messages: [{ role: 'user', content: 'all' }] });
  const answer = await client.send(new InvokeModelCommand({ modelId: 'anthropic.claude-3-haiku-20240307-v1:0', body }));
  assert.equal(JSON.parse(new TextDecoder().decode(answer.body)).content[1].text, 'Größe 😀');
  const { body: stream, contentType } = await client.send(new InvokeModelWithResponseStreamCommand({ modelId: ARN, body }));
  const types = [];
  for await (const { chunk } of stream) types.push(JSON.parse(new TextDecoder().decode(chunk.bytes)).type);
  assert.equal(contentType, 'application/json');
  assert.deepEqual([types[0], types.at(-1)], ['message_start', 'message_stop']);
}
