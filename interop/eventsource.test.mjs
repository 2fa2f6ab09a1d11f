// A web page: an EventSource that follows a session through whatever happens to the gateway.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { test } from 'node:test';

import { startGateway } from './lib/gateway.mjs';
import { post, submit, transcript } from './lib/native.mjs';
import { openPage } from './lib/page.mjs';
import { LIMIT, until } from './lib/wait.mjs';

const SLOW = 'echo?ttft=50ms&tps=40&tokens=120'; // three seconds

test('an EventSource shows one answer after the other over one connection', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: 'echo?ttft=0s&tps=0' });
  const page = openPage(t, gateway, 'chat');
  for (const prompt of ['What is a log?', 'Größe 日本語 😀?']) {
    const { generation } = await submit(gateway, 'chat', prompt);
    const answer = await page.shown(generation);
    assert.equal(answer.end.type, 'generation.done');
    assert.equal(answer.text, await textOf(gateway, 'chat', generation));
  }
  assert.deepEqual(page.connections, [{ cursor: undefined, status: 200 }]);
});

test('a session id may have any characters', LIMIT, async (t) => {
  const session = 'Größe 日本/😀?a=b&c#d%2F+"\'\\..';
  const gateway = await startGateway(t, { model: 'echo?ttft=0s&tps=0' });
  const { generation, session: named } = await submit(gateway, session, 'Hello');
  assert.equal(named, session);
  await openPage(t, gateway, session).shown(generation);
  assert.equal((await transcript(gateway, session)).session, session);
});

test('a page that comes late sees everything, one that asks for the latest only what is new', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: 'echo?ttft=0s&tps=0' });
  const first = await submit(gateway, 'late', 'One?');
  await openPage(t, gateway, 'late').shown(first.generation);
  const everything = openPage(t, gateway, 'late');
  const latest = openPage(t, gateway, 'late', '?after=latest');
  await until('both are connected', () => everything.open && latest.open);
  const second = await submit(gateway, 'late', 'Two?');
  const beyond = openPage(t, gateway, 'late', `?after=${second.cursor}`);
  for (const page of [everything, latest, beyond]) await page.shown(second.generation);
  assert.deepEqual([everything.answers.size, latest.answers.size, beyond.answers.size], [2, 1, 1]);
});

test('prompts that come before the answer to the last one are answered in their order', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: 'echo?ttft=10ms&tps=100&tokens=10' });
  const page = openPage(t, gateway, 'queue');
  const spoke = []; // who spoke, without repetitions in a row
  page.source.addEventListener('delta', ({ data }) => {
    const { generation } = JSON.parse(data);
    if (spoke.at(-1) !== generation) spoke.push(generation);
  });
  const asked = [];
  for (const prompt of ['One?', 'Two?', 'Three?', 'Four?']) asked.push((await submit(gateway, 'queue', prompt)).generation);
  for (const generation of asked) await page.shown(generation);
  assert.deepEqual(spoke, asked);
  assert.deepEqual((await transcript(gateway, 'queue')).turns.map(({ generation }) => generation), asked);
});

test('an EventSource comes back by itself after kill -9, with its cursor, and ends with the same text', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const page = openPage(t, gateway, 'killed');
  const { generation } = await submit(gateway, 'killed', 'Will you survive this?');
  for (let kills = 1; kills <= 3; kills++) {
    await page.began(generation, 5 * kills);
    await gateway.kill();
    await until('the page has noticed', () => !page.open);
    await gateway.start();
    await until('the page is back', () => page.open);
  }
  const answer = await page.shown(generation);
  assert.equal(answer.end.type, 'generation.done', JSON.stringify(answer.end));
  assert.ok(answer.attempt > 1, 'the kill came too late to prove anything');
  assert.equal(answer.text, await textOf(gateway, 'killed', generation));
  const late = await openPage(t, gateway, 'killed').shown(generation);
  assert.equal(late.text, answer.text);
  const [first, ...others] = page.connections;
  assert.equal(first.cursor, undefined);
  assert.ok(others.length >= 3);
  for (const { cursor, status } of others) {
    assert.ok(cursor, 'a reconnect without a cursor');
    assert.ok(status === 200 || status === undefined, `status ${status}`); // undefined: nobody was there
  }
});

test('an answer that ended before a kill is not repeated to a page that has it', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: 'echo?ttft=0s&tps=0' });
  const page = openPage(t, gateway, 'ended');
  const before = await submit(gateway, 'ended', 'One?');
  const { types } = await page.shown(before.generation);
  const seen = types.length;
  await gateway.kill();
  await until('the page has noticed', () => !page.open);
  await gateway.start();
  const after = await submit(gateway, 'ended', 'Two?');
  await page.shown(after.generation);
  const answer = page.answers.get(before.generation);
  assert.equal(answer.text, await textOf(gateway, 'ended', before.generation));
  // Nothing comes again, but for what stands in place of events that the crash took back.
  const again = answer.types.slice(seen);
  assert.ok(again.length === 0 || again.includes('reset'), String(again));
  assert.ok(!again.includes('delta'), String(again));
});

test('a page is told to forget what a gateway without its data does not know', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: 'echo?ttft=0s&tps=0' });
  const page = openPage(t, gateway, 'lost');
  const before = await submit(gateway, 'lost', 'One?');
  await page.shown(before.generation);
  await gateway.kill();
  await rm(gateway.data, { recursive: true });
  await gateway.start();
  const after = await submit(gateway, 'lost', 'Two?');
  await page.shown(after.generation);
  assert.deepEqual([...page.answers.keys()], [after.generation]);
});

test('a draining gateway ends what runs, serves pages that connect, and does not make them give up', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const page = openPage(t, gateway, 'drained');
  const { generation } = await submit(gateway, 'drained', 'Go on while you can.');
  await page.began(generation);
  const exit = gateway.terminate();
  await until('the gateway drains', async () => (await gateway.readiness())?.draining);
  const newcomer = openPage(t, gateway, 'drained');
  const refused = await post(gateway, 'other', { prompt: 'Me too' });
  assert.equal(refused.status, 503);
  assert.ok(refused.headers.get('retry-after'));
  const answers = [await page.shown(generation), await newcomer.shown(generation)];
  assert.equal(await exit, 0);
  for (const answer of answers) {
    assert.equal(answer.end.type, 'generation.done');
    assert.equal(answer.attempt, 1);
    assert.equal(answer.text, answers[0].text);
  }
  await gateway.start();
  const next = await submit(gateway, 'drained', 'Are you back?');
  await page.shown(next.generation);
  await newcomer.shown(next.generation);
});

test('an answer that a stopping gateway could not finish is finished after the restart', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW, args: ['--drain-timeout', '200ms'] });
  const page = openPage(t, gateway, 'handed');
  const { generation } = await submit(gateway, 'handed', 'This takes longer than you have.');
  await page.began(generation);
  assert.equal(await gateway.terminate(), 0);
  await gateway.start();
  const answer = await page.shown(generation);
  assert.equal(answer.end.type, 'generation.done', JSON.stringify(answer.end));
  assert.equal(answer.text, await textOf(gateway, 'handed', generation));
});

async function textOf(gateway, session, generation) {
  const { turns } = await transcript(gateway, session);
  return turns.find((turn) => turn.generation === generation)?.text;
}
