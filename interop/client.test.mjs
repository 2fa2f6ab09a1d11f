// The TypeScript client, built from clients/ts, against the real gateway.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

import { Answer, Runnel } from '../clients/ts/dist/index.js';
import { startGateway } from './lib/gateway.mjs';
import { LIMIT, until } from './lib/wait.mjs';

const QUICK = 'echo?ttft=0s&tps=0&tokens=40';
const SLOW = 'echo?ttft=20ms&tps=40&tokens=120'; // three seconds

test('asks, and reads what was said', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: QUICK });
  const runnel = new Runnel(gateway.url);
  const session = 'Größe 日本/😀?a=b&c#d%2F+"\'\\..';
  const answer = await runnel.ask(session, 'What is a log?');
  const { turns } = await runnel.transcript(session);
  assert.equal(answer.state, 'done');
  assert.equal(answer.text, turns[0].text);
});

test('kills of the gateway cost it nothing', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const notices = [];
  const runnel = new Runnel(gateway.url, { notify: (notice) => notices.push(notice) });
  const answer = new Answer();
  const receipt = await runnel.submit('kill', 'What is a log?');
  const following = (async () => {
    for await (const event of runnel.follow(receipt)) answer.apply(event);
  })();
  for (const length of [20, 100]) {
    await until('there is some text', () => answer.text.length > length);
    await gateway.kill();
    await gateway.start();
  }
  await following;
  assert.equal(answer.text, (await runnel.transcript('kill')).turns[0].text);
  assert.ok(notices.some(({ error }) => error) && !notices.at(-1).error);
});

test('stops', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const runnel = new Runnel(gateway.url);
  const answer = new Answer();
  for await (const event of runnel.stream('stop', 'What is a log?')) {
    answer.apply(event);
    if (event.type === 'delta' && answer.state === 'running') await runnel.cancel(event.generation);
  }
  assert.equal(answer.state, 'cancelled');
});

test('works in a worker', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: QUICK });
  const client = new URL('../clients/ts/dist/index.js', import.meta.url);
  const source = `
    import { parentPort } from 'node:worker_threads';
    import { Runnel } from ${JSON.stringify(client)};
    const { text } = await new Runnel(${JSON.stringify(gateway.url)}).ask('worker', 'Hello');
    parentPort.postMessage(text);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
  const text = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  assert.equal(text, (await new Runnel(gateway.url).transcript('worker')).turns[0].text);
});
