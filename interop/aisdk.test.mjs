// The AI SDK's own chat, as useChat holds it, against the AI SDK door.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Chat } from '@ai-sdk/react';
import { DefaultChatTransport, validateUIMessages } from 'ai';

import { startGateway } from './lib/gateway.mjs';
import { transcript } from './lib/native.mjs';
import { LIMIT, until } from './lib/wait.mjs';

const QUICK = 'echo?ttft=0s&tps=0&tokens=40';
const SLOW = 'echo?ttft=20ms&tps=40&tokens=120'; // three seconds

/** openChat is what useChat makes of its options. */
function openChat(gateway, id, messages = []) {
  const errors = [];
  const chat = new Chat({
    id,
    messages,
    transport: new DefaultChatTransport({ api: `${gateway.url}/api/chat` }),
    onError: (err) => errors.push(err),
  });
  return Object.assign(chat, { errors });
}

/** shown is the text of the last message. */
const shown = (chat) =>
  chat.lastMessage?.role === 'assistant'
    ? chat.lastMessage.parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
    : '';

const history = async (gateway, id) => (await (await fetch(`${gateway.url}/api/chat/${id}`)).json()).messages;
const stop = (gateway, id) => fetch(`${gateway.url}/api/chat/${id}/stop`, { method: 'POST' });

test('a chat of two questions, and what a page that is loaded again has', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: QUICK });
  const chat = openChat(gateway, 'two');
  for (const text of ['What is a log?', 'Größe 日本語 😀?']) {
    await chat.sendMessage({ text });
    assert.deepEqual(chat.errors, []);
    assert.equal(shown(chat), (await transcript(gateway, 'two')).turns.at(-1).text);
  }
  const messages = await history(gateway, 'two');
  await validateUIMessages({ messages });
  const plain = (list) => list.map(({ role, parts }) => [role, parts.filter(({ type }) => type === 'text').map(({ text }) => text)]);
  assert.deepEqual(plain(messages), plain(chat.messages));
  assert.equal(messages.at(-1).id, chat.lastMessage.id);
});

test('a page that is loaded again in the middle resumes, also after a kill', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const first = openChat(gateway, 'reload');
  const sent = first.sendMessage({ text: 'What is a log?' });
  await until('something is shown', () => shown(first).length > 20);
  await first.stop(); // the page goes away, which stops nothing
  await sent;
  await gateway.kill();
  await gateway.start();
  const second = openChat(gateway, 'reload', await history(gateway, 'reload'));
  await second.resumeStream();
  assert.deepEqual(second.errors, []);
  assert.equal(shown(second), (await transcript(gateway, 'reload')).turns.at(-1).text);
  assert.deepEqual(
    second.messages.map(({ role }) => role),
    ['user', 'assistant'],
  );
});

test('an idle chat resumes to nothing', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: QUICK });
  const chat = openChat(gateway, 'idle');
  await chat.resumeStream();
  assert.equal(chat.status, 'ready');
  assert.deepEqual([chat.errors, chat.messages], [[], []]);
});

test('stop ends the answer on every page', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const [one, two] = [openChat(gateway, 'stop'), openChat(gateway, 'stop')];
  const sent = one.sendMessage({ text: 'What is a log?' });
  await until('something is shown', () => shown(one));
  const resumed = two.resumeStream();
  await until('it is shown twice', () => shown(two));
  await stop(gateway, 'stop');
  await Promise.all([sent, resumed]);
  assert.deepEqual([one.errors, two.errors], [[], []]);
  assert.equal(shown(one), shown(two));
  assert.equal((await transcript(gateway, 'stop')).turns.at(-1).state, 'cancelled');
});

test('a refusal is shown as the SDK shows it', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: QUICK });
  const chat = openChat(gateway, 'refused');
  await chat.sendMessage({ text: 'Hello' }, { body: { model: 'nobody' } });
  assert.equal(chat.status, 'error');
  assert.match(chat.errors[0].message, /unknown model "nobody"/);
});
