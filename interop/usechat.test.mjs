// useChat in a real browser, on a page that somebody else serves.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

import { openBrowser } from './lib/browser.mjs';
import { startGateway } from './lib/gateway.mjs';
import { transcript } from './lib/native.mjs';
import { defer, LIMIT, until } from './lib/wait.mjs';

const SLOW = 'echo?ttft=20ms&tps=40&tokens=160'; // four seconds

/** servePage serves the page of a chat, as its user's own server would. */
async function servePage(t, id) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('lib/pages/usechat.jsx', import.meta.url))],
    bundle: true,
    write: false,
    jsx: 'automatic',
    format: 'iife',
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const page = { id };
  const server = createServer(async (request, response) => {
    if (request.url === '/page.js') return response.writeHead(200, { 'content-type': 'text/javascript' }).end(outputFiles[0].text);
    page.messages = page.api ? (await (await fetch(`${page.api}/${id}`)).json()).messages : [];
    const known = JSON.stringify(page).replaceAll('<', '\\u003c');
    return response
      .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
      .end(`<!doctype html><div id="root"></div><script>globalThis.page = ${known}</script><script src="/page.js"></script>`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  defer(t, () => server.close());
  defer(t, () => server.closeAllConnections());
  return Object.assign(page, { url: `http://127.0.0.1:${server.address().port}` });
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
