// The operator's page in a real browser.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

import { openBrowser } from './lib/browser.mjs';
import { newKey, startGateway } from './lib/gateway.mjs';
import { LIMIT, until } from './lib/wait.mjs';

const ENDLESS = 'echo?ttft=10ms&tps=50&tokens=100000';
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

async function openAdmin(context, gateway) {
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (err) => page.faults.push(err.message));
  page.on('console', (line) => {
    if (/Content Security Policy|Refused to/.test(line.text())) page.faults.push(line.text());
  });
  await page.goto(`${gateway.url}/admin`);
  await page.getByRole('heading', { name: 'Runnel: operator' }).waitFor();
  return page;
}

async function submit(gateway, session, key) {
  const response = await fetch(`${gateway.url}/v1/sessions/${session}/prompts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key ? { 'x-api-key': key } : {}) },
    body: JSON.stringify({ prompt: 'Count' }),
  });
  assert.equal(response.status, 202);
  return (await response.json()).generation;
}

async function violations(page) {
  await page.evaluate(AXE).catch(() => {});
  const { violations: found } = await page.evaluate(() => globalThis.axe.run());
  return found.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)}`);
}

const row = (page, generation) => page.getByRole('row').filter({ hasText: generation });
const tokens = async (page, generation) => Number(await row(page, generation).getByRole('cell').nth(4).innerText());

test('an operator sees what runs, live, and stops it', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: ENDLESS });
  const page = await openAdmin(await openBrowser(t), gateway);
  await page.getByText('None.').first().waitFor();
  const running = await submit(gateway, 'one');
  const waiting = await submit(gateway, 'one');
  await row(page, running).filter({ hasText: 'running' }).waitFor();
  await row(page, waiting).filter({ hasText: 'queued' }).waitFor();
  const before = await tokens(page, running);
  await until('its tokens are counted', async () => (await tokens(page, running)) > before);
  await page.getByRole('region', { name: 'Models' }).getByText('echo').waitFor();
  assert.deepEqual(await violations(page), []);
  if (process.env.RUNNEL_PICTURES) {
    await page.screenshot({ path: fileURLToPath(new URL('../docs/images/admin.png', import.meta.url)) });
  }
  await page.emulateMedia({ colorScheme: 'dark' });
  assert.deepEqual(await violations(page), []);
  await page.setViewportSize({ width: 390, height: 780 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  assert.deepEqual(await violations(page), []);
  await page.getByRole('button', { name: `Stop ${running}` }).click();
  await page.getByRole('status').filter({ hasText: `${running} will stop` }).waitFor();
  await row(page, running).waitFor({ state: 'detached' });
  await row(page, waiting).filter({ hasText: 'running' }).waitFor(); // its turn has come
  const { state } = await (await fetch(`${gateway.url}/v1/generations/${running}`)).json();
  assert.equal(state, 'cancelled');
  await until('the audit log says so', () => gateway.log.includes(running) && /"action":"stop"/.test(gateway.log));
  assert.deepEqual(page.faults, []);
});

test('the page says when the gateway is gone, and goes on when it is back', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: ENDLESS });
  const page = await openAdmin(await openBrowser(t), gateway);
  const status = page.getByRole('status');
  await status.filter({ hasText: 'Live' }).waitFor();
  await gateway.kill();
  await status.filter({ hasText: 'cannot be reached' }).waitFor();
  await gateway.start();
  await status.filter({ hasText: 'Live' }).waitFor();
  assert.deepEqual(page.faults, []);
});

test('it is for administrators', LIMIT, async (t) => {
  const user = await newKey('bob');
  const root = await newKey('root');
  const gateway = await startGateway(t, {
    model: ENDLESS,
    config: { keys: [{ ...user.entry, user: true }, { ...root.entry, grants: [{ actions: ['admin'] }] }] },
  });
  const page = await openAdmin(await openBrowser(t), gateway);
  const signIn = async (key) => {
    await page.getByLabel('API key or token').fill(key);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  };
  await signIn(user.key);
  await page.getByRole('status').filter({ hasText: 'grant to administer' }).waitFor();
  assert.deepEqual(await violations(page), []);
  const generation = await submit(gateway, 'his', user.key);
  await page.getByRole('button', { name: 'Sign in as somebody else' }).click();
  await signIn(root.key);
  await row(page, generation).filter({ hasText: 'his' }).waitFor();
  await page.getByRole('button', { name: `Stop ${generation}` }).click();
  await row(page, generation).waitFor({ state: 'detached' });
  await until('the audit log has the refusal and the stop', () => /"reason":"grants".*key:bob/.test(gateway.log) && /key:root","action":"stop"/.test(gateway.log));
  assert.deepEqual(page.faults, []);
});
