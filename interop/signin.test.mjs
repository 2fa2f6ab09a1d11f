// People who sign in with an OpenID provider on the chat page: the provider's own
// login page, in a real browser.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'node:test';

import { openBrowser } from './lib/browser.mjs';
import { freePort, startGateway } from './lib/gateway.mjs';
import { AUDIENCE, signingKey, startIssuer } from './lib/issuer.mjs';
import { LIMIT, until } from './lib/wait.mjs';

const QUICK = 'echo?ttft=0s&tps=0&tokens=60';
const LONG = 'echo?ttft=50ms&tps=20&tokens=400'; // twenty seconds
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** setUp starts a gateway whose page signs people in with an issuer, and a browser. */
async function setUp(t, { model = QUICK, lifetime = 600, refresh = true, alg = 'ES256', issuerConfig = {}, grants } = {}) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const issuer = await startIssuer(t, [signingKey(alg, 'first')], lifetime, { url, refresh });
  const config = {
    issuers: [
      {
        issuer: issuer.url,
        audiences: [AUDIENCE],
        client_ids: ['page'],
        scopes: ['chat'],
        token_use: 'access',
        sign_in: { client_id: 'page', scope: 'openid chat', resource: AUDIENCE },
        ...(grants ? { grants } : {}),
        ...issuerConfig,
      },
    ],
  };
  const gateway = await startGateway(t, { model, port, config });
  const context = await openBrowser(t);
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (err) => page.faults.push(err.message));
  page.on('console', (line) => /Content Security Policy|Refused to/.test(line.text()) && page.faults.push(line.text()));
  return { gateway, issuer, page };
}

const offered = (page, issuer) => page.getByRole('button', { name: `Sign in with ${new URL(issuer.url).host}` });

/** logIn does what a person does at the provider. */
async function logIn(page, name) {
  await page.locator('[name=login]').fill(name);
  await page.locator('[name=password]').fill('anything');
  await page.getByRole('button', { name: /sign.?in/i }).click();
  await page.getByRole('button', { name: /continue/i }).click();
}

async function signIn(page, issuer, name) {
  await offered(page, issuer).click();
  await logIn(page, name);
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
}

const ask = async (page, prompt) => {
  await page.locator('#prompt').fill(prompt);
  await page.keyboard.press('Enter');
};
const said = async (page) => (await page.locator('section.answer .markdown').first().innerText()).replace(/[^\p{L}]/gu, '');
const complete = (page) => page.locator('section.answer[aria-busy="false"]').first().waitFor();
const session = (page) => page.evaluate(() => JSON.parse(sessionStorage.getItem('runnel.session')));

/** written is what the gateway keeps of the answer. */
async function written(gateway, id, token) {
  const response = await fetch(`${gateway.url}/v1/sessions/${id}`, { headers: { authorization: `Bearer ${token}` } });
  return (await response.json()).turns[0].text.replace(/[^\p{L}]/gu, '');
}

async function violations(page) {
  await page.evaluate(AXE).catch(() => {});
  const { violations: found } = await page.evaluate(() => globalThis.axe.run());
  return found.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)}`);
}

async function picture(page, name) {
  if (process.env.RUNNEL_PICTURES) await page.screenshot({ path: fileURLToPath(new URL(`../docs/images/${name}.png`, import.meta.url)) });
}

describe('signing in', () => {
  for (const [token, alg, issuerConfig] of [
    ['access', 'ES256', {}],
    ['ID', 'RS256', { token_use: 'any', audiences: [], scopes: [], sign_in: { client_id: 'page', token: 'id' } }],
  ]) {
    test(`with the ${token} token: in, a reload, and out`, LIMIT, async (t) => {
      const { gateway, issuer, page } = await setUp(t, { alg, issuerConfig });
      await page.goto(`${gateway.url}/#mine`);
      await offered(page, issuer).waitFor();
      assert.deepEqual(await violations(page), []);
      if (token === 'access') await picture(page, 'signin');
      await signIn(page, issuer, 'ada');
      assert.equal(page.url(), `${gateway.url}/#mine`, 'back where it began');
      assert.equal(await page.locator('.who span').innerText(), 'ada');
      await ask(page, 'Hello');
      await complete(page);
      assert.deepEqual(await violations(page), []);
      await page.reload();
      await complete(page); // nobody is asked again
      assert.ok((await said(page)).length > 20);
      assert.equal(await page.evaluate(() => Object.values(localStorage).join().includes('eyJ')), false, 'the token outlives its tab');

      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByRole('button', { name: /yes/i }).click(); // the provider asks, too
      await offered(page, issuer).waitFor();
      assert.equal(await session(page), null);
      assert.equal(await page.evaluate(() => Object.keys(localStorage).some((key) => key.startsWith('runnel.cache.'))), false);
      assert.equal(await page.getByRole('link', { name: 'Hello' }).count(), 0, 'titles are shown to whoever comes next');

      // Somebody else, who does not see it; nor does its list of conversations.
      await page.goto(`${gateway.url}/#mine`);
      await signIn(page, issuer, 'bob');
      await page.getByText('What would you like to ask?').waitFor(); // as if there were nothing
      assert.equal(await page.getByText('Hello').count(), 0);
      assert.deepEqual(page.faults, []);
    });
  }

  test('what is denied, forged, or over', LIMIT, async (t) => {
    const { gateway, issuer, page } = await setUp(t);
    await page.goto(`${gateway.url}/#denied`);
    await offered(page, issuer).click();
    await page.getByRole('link', { name: /cancel/i }).click();
    await page.getByRole('heading', { name: 'You are not signed in' }).waitFor();
    assert.match(await page.getByRole('alert').innerText(), /did not let you in: End-User aborted/);
    assert.deepEqual(await violations(page), []);
    await page.getByRole('link', { name: 'Back' }).click();
    await offered(page, issuer).waitFor();

    // A code that this page has not asked for: somebody wants it to use their account.
    await page.goto(`${gateway.url}/signin?code=theirs&state=theirs`);
    assert.match(await page.getByRole('alert').innerText(), /is over, or was not begun in this tab/);
    await page.evaluate(() => sessionStorage.setItem('runnel.pending', JSON.stringify({ provider: { issuer: 'https://x', client_id: 'page' }, state: 'mine' })));
    await page.goto(`${gateway.url}/signin?code=theirs&state=theirs`);
    assert.match(await page.getByRole('alert').innerText(), /unexpected "state" response parameter value/);
    assert.equal(await session(page), null);

    // From there it still works, and to where it began.
    await page.getByRole('link', { name: 'Try again' }).click();
    await logIn(page, 'ada');
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    assert.equal(page.url(), `${gateway.url}/#denied`);
    assert.deepEqual(page.faults, []);
  });

  for (const way of ['Server-sent events', 'WebSocket', 'AppSync GraphQL']) {
    test(`a token ends in the middle of an answer over ${way}, and another goes on`, LIMIT, async (t) => {
      const { gateway, issuer, page } = await setUp(t, { model: LONG, lifetime: 8 });
      await page.goto(`${gateway.url}/#renewed`);
      await signIn(page, issuer, 'ada');
      await page.locator('label', { hasText: 'Transport' }).locator('select').selectOption({ label: way });
      const { token } = await session(page);
      await ask(page, 'A long story');
      await until('it streams', async () => (await page.locator('section.answer').count()) === 1 && (await said(page)).length > 20);
      await page.locator('section.answer').evaluate((node) => (node.before = true));
      await complete(page);
      assert.equal(await page.locator('section.answer').evaluate((node) => node.before), true, 'the conversation was opened anew');
      const { token: last } = await session(page);
      assert.notEqual(last, token);
      assert.equal(await said(page), await written(gateway, 'renewed', last));
      assert.equal(await page.getByRole('dialog').count(), 0);
      assert.deepEqual(page.faults, []);
    });
  }

  test('without a refresh token somebody signs in again, and the answer has gone on', LIMIT, async (t) => {
    const { gateway, issuer, page } = await setUp(t, { model: LONG, lifetime: 6, refresh: false });
    await page.goto(`${gateway.url}/#again`);
    await signIn(page, issuer, 'ada');
    await ask(page, 'A long story');
    await until('it streams', async () => (await said(page)).length > 20);
    await page.locator('#prompt').fill('What I want to ask next');
    await page.getByText('Your sign-in as ada has ended').waitFor();
    assert.equal(await page.locator('section.answer[aria-busy="true"]').count(), 1, 'the answer is still there, and not complete');
    await offered(page, issuer).click(); // who is still logged in at the provider is asked nothing
    await until('it streams again', async () => (await page.locator('section.answer[aria-busy="true"]').count()) === 1 && (await said(page)).length > 20);
    assert.equal(await page.locator('#prompt').inputValue(), 'What I want to ask next');
    const { token } = await session(page);
    const { turns, active } = await (await fetch(`${gateway.url}/v1/sessions/again`, { headers: { authorization: `Bearer ${token}` } })).json();
    assert.equal(turns.length + active.length, 1, 'it is the same answer');
    assert.deepEqual(page.faults, []);
  });

  test('an issuer that is away costs nobody the answer; one that is taken out ends it', LIMIT, async (t) => {
    const { gateway, issuer, page } = await setUp(t, { model: LONG, lifetime: 8 });
    await page.goto(`${gateway.url}/#away`);
    await signIn(page, issuer, 'ada');
    await ask(page, 'A long story');
    await until('it streams', async () => (await said(page)).length > 20);
    const { ends } = await session(page);
    await page.route(`${issuer.url}/**`, (route) => route.abort());
    await page.getByText('the issuer cannot be reached').waitFor();
    assert.ok(Date.now() >= ends, 'the token was good for longer');
    await page.unroute(`${issuer.url}/**`);
    await page.getByText('Connected again').waitFor();
    await until('it goes on', async () => (await session(page)).ends > ends);
    await gateway.configure({ keys: [{ name: 'other', hash: `sha256:${'0'.repeat(64)}` }] });
    await page.getByText('Your sign-in as ada has ended').waitFor();
    await page.getByLabel('API key or token').waitFor();
    assert.equal(await offered(page, issuer).count(), 0);
    assert.deepEqual(page.faults, []);
  });

  test('the page may ask the issuer, and nobody else; without one nobody', LIMIT, async (t) => {
    const { gateway, issuer } = await setUp(t);
    const policy = async () => (await fetch(`${gateway.url}/`)).headers.get('content-security-policy').match(/connect-src ([^;]*)/)[1];
    assert.equal(await policy(), `'self' ${issuer.url}`);
    await gateway.configure({});
    assert.equal(await policy(), "'self'");
    assert.equal(await (await fetch(`${gateway.url}/signin.json`)).json(), null);
  });

  test('the operator signs in, too, and as somebody else', LIMIT, async (t) => {
    const { gateway, issuer, page } = await setUp(t);
    await page.goto(`${gateway.url}/admin`);
    await offered(page, issuer).click();
    await logIn(page, 'ada');
    await page.getByRole('button', { name: 'Sign in as somebody else' }).click();
    assert.equal(page.url(), `${gateway.url}/admin`);
    await offered(page, issuer).click();
    await page.locator('[name=login]').waitFor(); // the provider asks anew
    assert.deepEqual(page.faults, []);
  });
});
