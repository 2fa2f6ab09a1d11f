// useChat in a real browser, on a page that somebody else serves.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { openBrowser } from './lib/browser.mjs';
import { bundle, serve } from './lib/bundle.mjs';
import { startGateway } from './lib/gateway.mjs';
import { transcript } from './lib/native.mjs';
import { LIMIT, until } from './lib/wait.mjs';

const SLOW = 'echo?ttft=20ms&tps=40&tokens=160'; // four seconds

/** servePage serves the page of a chat, as its user's own server would. */
async function servePage(t, id) {
  const page = { id };
  page.url = await serve(t, await bundle('usechat.jsx'), async () => {
    const messages = page.api ? (await (await fetch(`${page.api}/${id}`)).json()).messages : [];
    return `<script>globalThis.page = ${JSON.stringify({ ...page, messages }).replaceAll('<', '\\u003c')}</script>`;
  });
  return page;
}

const shown = (page) => page.locator('p.assistant').last().innerText();
const squeeze = (text) => text.replace(/\s+/g, ' ').trim();

test('useChat streams, resumes after a reload and a kill, and stops', LIMIT, async (t) => {
  const hosted = await servePage(t, 'browser');
  const gateway = await startGateway(t, { model: SLOW, args: ['--cors-origins', hosted.url] });
  hosted.api = `${gateway.url}/api/chat`;
  const context = await openBrowser(t);
  const page = await context.newPage();
  await page.goto(hosted.url);
  const ready = (status) => page.locator('output', { hasText: status }).waitFor();
  await ready('ready'); // an idle chat resumes to nothing

  await page.locator('input').fill('What is a log?');
  await page.keyboard.press('Enter');
  await until('it streams', async () => (await page.locator('p.assistant').count()) === 1 && (await shown(page)).length > 40);
  await gateway.kill();
  await gateway.start();
  await page.reload();
  await until('it streams again', async () => (await page.locator('p.assistant').count()) === 1 && (await shown(page)).length > 60);
  await ready('ready');
  const [turn] = (await transcript(gateway, 'browser')).turns;
  assert.equal(turn.state, 'done');
  assert.equal(squeeze(await shown(page)), squeeze(turn.text));
  assert.deepEqual(await page.locator('p').evaluateAll((all) => all.map(({ className }) => className)), ['user', 'assistant']);

  await page.locator('input').fill('And then?');
  await page.keyboard.press('Enter');
  await until('the next one streams', async () => (await page.locator('p.assistant').count()) === 2 && (await shown(page)).length > 20);
  await page.getByRole('button', { name: 'Stop' }).click();
  await until('it is stopped', async () => (await transcript(gateway, 'browser')).turns.at(-1).state === 'cancelled');
  await ready('ready');
});
