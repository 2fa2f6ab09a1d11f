// The chat page in a real browser: what a person does, and what happens to one.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { openBrowser } from './lib/browser.mjs';
import { newKey, startGateway } from './lib/gateway.mjs';
import { transcript } from './lib/native.mjs';
import { startScripted } from './lib/scripted.mjs';
import { LIMIT, until } from './lib/wait.mjs';

const QUICK = 'echo?ttft=0s&tps=0&tokens=60';
const SLOW = 'echo?ttft=50ms&tps=40&tokens=160'; // four seconds
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** picture keeps a screenshot for the documentation, if it is asked to. */
async function picture(page, name) {
  if (process.env.RUNNEL_PICTURES) {
    await page.screenshot({ path: fileURLToPath(new URL(`../docs/images/${name}.png`, import.meta.url)) });
  }
}

/** openPage opens the chat in a browser, and notes what must not happen there. */
async function openPage(t, context, gateway, session) {
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (err) => page.faults.push(err.message));
  page.on('console', (line) => {
    if (/Content Security Policy|Refused to/.test(line.text())) page.faults.push(line.text());
  });
  page.on('dialog', (dialog) => {
    page.faults.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.goto(`${gateway.url}/#${encodeURIComponent(session)}`);
  await page.locator('#prompt').waitFor();
  return page;
}

const ask = async (page, prompt) => {
  await page.locator('#prompt').fill(prompt);
  await page.keyboard.press('Enter');
};
const answers = (page) => page.locator('section.answer');
const busy = (page) => page.locator('section.answer[aria-busy="true"]');
const answered = (page, count = 1) => page.locator('section.answer[aria-busy="false"]').nth(count - 1).waitFor();

/** said is the text of the nth answer without its layout, to compare with Markdown. */
const said = async (page, n = 0) => letters(await answers(page).nth(n).locator('.markdown').innerText());
const letters = (text) => text.replace(/[^\p{L}]/gu, ''); // list numbers are layout, too
/** written is what the gateway keeps of the nth answer, without its marks. */
const written = async (gateway, session, n = 0) => letters((await transcript(gateway, session)).turns[n].text);

/** same compares texts that are too long to print. */
function same(got, want, what = 'the text') {
  if (got === want) return;
  let at = 0;
  while (got[at] === want[at]) at++;
  assert.fail(`${what} differs after ${at} letters: ${got.length} shown, ${want.length} written: …${got.slice(at, at + 40)} / …${want.slice(at, at + 40)}`);
}

async function violations(page) {
  await page.evaluate(AXE).catch(() => {});
  const { violations: found } = await page.evaluate(() => globalThis.axe.run());
  return found.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)}`);
}

test('a question is answered, in light and dark, and on a phone', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const context = await openBrowser(t);
  const page = await openPage(t, context, gateway, 'first');
  await picture(page, 'chat-empty');
  await ask(page, 'What is a log?');
  await until('it streams', async () => (await busy(page).count()) === 1 && (await said(page)).length > 300);
  await picture(page, 'chat-streaming');
  await answered(page);
  same(await said(page), await written(gateway, 'first'));
  assert.equal(await page.locator('.asked p').innerText(), 'What is a log?');
  await page.getByRole('button', { name: 'Events' }).click();
  await page.getByText('To the first token').waitFor();
  assert.match(await page.locator('.drawer').innerText(), /Accepted after\s+\d+ ms[^]*generation\.done/);
  await picture(page, 'chat-events');
  assert.deepEqual(await violations(page), []);
  await page.emulateMedia({ colorScheme: 'dark' });
  assert.deepEqual(await violations(page), []);
  await picture(page, 'chat-dark');
  await page.getByRole('button', { name: 'Events' }).click();
  await page.setViewportSize({ width: 390, height: 780 });
  await page.getByRole('button', { name: 'Conversations' }).click();
  await page.getByRole('link', { name: 'What is a log?' }).click();
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  assert.deepEqual(await violations(page), []);
  await picture(page, 'chat-phone');
  assert.deepEqual(page.faults, []);
});

test('stop, answer again, edit and ask again', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const page = await openPage(t, await openBrowser(t), gateway, 'stop');
  await ask(page, 'One?');
  await until('it streams', async () => (await said(page)).length > 20);
  await page.getByRole('button', { name: 'Stop' }).click();
  await answered(page);
  await page.getByText('Stopped').waitFor();
  assert.equal((await transcript(gateway, 'stop')).turns[0].state, 'cancelled');
  await page.getByRole('button', { name: 'Answer again' }).click();
  await page.getByText('2 of 2').waitFor(); // once it is complete
  same(await said(page), await written(gateway, 'stop', 1));
  await page.getByRole('button', { name: 'The answer before' }).click();
  await page.getByText('Stopped').waitFor();
  await page.getByRole('button', { name: 'Edit and ask again' }).click();
  await ask(page, 'Two?');
  await page.getByText('Two?').first().waitFor();
  await answered(page);
  const forked = decodeURIComponent(new URL(page.url()).hash.slice(1));
  assert.notEqual(forked, 'stop');
  same(await said(page), await written(gateway, forked));
  assert.deepEqual(page.faults, []);
});

test('reloads in the middle, two pages, and a gateway that is killed', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const context = await openBrowser(t);
  const page = await openPage(t, context, gateway, 'kill');
  await ask(page, 'What is a log?');
  await until('it streams', async () => (await said(page)).length > 20);
  await page.reload();
  const other = await openPage(t, context, gateway, 'kill');
  await until('both stream', async () => (await busy(page).count()) + (await busy(other).count()) === 2 && (await said(other)).length > 60);
  await gateway.kill();
  await page.getByText('Not connected').waitFor();
  await picture(page, 'chat-lost');
  await gateway.start();
  await page.getByText(/Connected again: went on after/).waitFor();
  await answered(page);
  await answered(other);
  const want = await written(gateway, 'kill');
  same(await said(page), want);
  same(await said(other), want, 'the other page');
  // What one page asks, the other shows.
  await ask(other, 'And then?');
  await page.locator('.asked p', { hasText: 'And then?' }).waitFor();
  await answered(page, 2);
  same(await said(page, 1), await written(gateway, 'kill', 1));
  assert.deepEqual([page.faults, other.faults], [[], []]);
});

test('the network is cut and comes back; without one the page starts', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const context = await openBrowser(t);
  const page = await openPage(t, context, gateway, 'offline');
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload(); // now the worker has seen its files
  await ask(page, 'What is a log?');
  await answered(page);
  const want = await written(gateway, 'offline');
  await context.setOffline(true);
  await page.reload();
  await until('what was said is there', async () => (await answers(page).count()) === 1 && (await said(page)) === want);
  await page.getByText('You are offline').waitFor();
  await context.setOffline(false);
  await page.getByText('You are offline').waitFor({ state: 'hidden' });
  await ask(page, 'And then?');
  await answered(page, 2);
  same(await said(page, 1), await written(gateway, 'offline', 1));
});

test('over every transport the same', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: SLOW });
  const page = await openPage(t, await openBrowser(t), gateway, 'ways');
  let n = 0;
  for (const way of ['WebSocket', 'AppSync GraphQL', 'Server-sent events']) {
    await page.locator('label', { hasText: 'Transport' }).locator('select').selectOption({ label: way });
    await ask(page, `Over ${way}?`);
    await until('it streams', async () => (await answers(page).count()) > n && (await said(page, n)).length > 20);
    await gateway.kill();
    await gateway.start();
    await answered(page, n + 1);
    same(await said(page, n), await written(gateway, 'ways', n), way);
    n++;
  }
  assert.deepEqual(page.faults, []);
});

test('a key is asked for, and a wrong one refused', LIMIT, async (t) => {
  const { key, entry } = await newKey('page');
  const gateway = await startGateway(t, { model: QUICK, config: { keys: [entry] } });
  const context = await openBrowser(t);
  const page = await context.newPage();
  await page.goto(`${gateway.url}/#keys`);
  for (const [shown, good] of [
    ['wrong', false],
    [key, true],
  ]) {
    await page.getByRole('dialog').waitFor();
    await page.getByLabel('API key or token').fill(shown);
    await page.getByRole('button', { name: 'Sign in' }).click();
    if (good) await page.getByRole('dialog').waitFor({ state: 'hidden' });
  }
  await ask(page, 'Hello');
  await answered(page);
  assert.ok((await said(page)).length > 20);
});

/** publisher returns what publishes pieces of an answer to a session. */
function publisher(gateway, session) {
  return async (piece) => {
    const response = await fetch(`${gateway.url}/v1/sessions/${session}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(piece),
    });
    assert.equal(response.status, 202, await response.text());
  };
}

test('reasoning and tool calls unfold, failures are told, and a second device shows the same', LIMIT, async (t) => {
  const model = `openai/scripted?base_url=${await startScripted(t)}/v1`;
  const gateway = await startGateway(t, { model, args: ['--retries', '0'], env: { OPENAI_API_KEY: 'none' } });
  const page = await openPage(t, await openBrowser(t), gateway, 'tools');
  await ask(page, 'use a tool');
  await answered(page);
  const reasoning = page.locator('details', { hasText: 'Reasoning' });
  const call = page.locator('details', { hasText: 'Tool call' });
  for (const [part, inside] of [
    [reasoning, 'hm'],
    [call, '"a": 1'],
  ]) {
    const text = part.getByText(inside);
    assert.equal(await text.isVisible(), false, 'it is folded at first');
    await part.locator('summary').focus();
    await page.keyboard.press('Enter');
    await text.waitFor();
  }
  assert.deepEqual(await violations(page), []);
  await ask(page, 'fail');
  await answered(page, 2);
  await answers(page).nth(1).getByRole('alert').waitFor();

  // Another browser, which has nothing of this one.
  const other = await openPage(t, await openBrowser(t), gateway, 'tools');
  await answered(other, 2);
  assert.equal(await other.locator('details').count(), await page.locator('details').count());
  assert.equal(await answers(other).nth(1).getByRole('alert').innerText(), await answers(page).nth(1).getByRole('alert').innerText());
  await other.getByRole('navigation').getByRole('link', { name: 'use a tool' }).waitFor();
  assert.deepEqual([page.faults, other.faults], [[], []]);
});

test('progress is shown until there is an answer', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: QUICK });
  const page = await openPage(t, await openBrowser(t), gateway, 'progress');
  const publish = publisher(gateway, 'progress');
  await publish({ type: 'progress', progress: 'Searching 12 documents' });
  await page.getByText('Searching 12 documents').waitFor();
  await publish({ type: 'reasoning', text: 'First the figures' });
  await page.getByText('Thinking…').waitFor();
  await publish({ type: 'progress', progress: { step: 2, of: 3 } });
  await page.getByText('{"step":2,"of":3}').waitFor();
  await publish({ type: 'delta', text: 'Found.' });
  await publish({ type: 'generation.done' });
  await answered(page);
  assert.equal(await page.locator('.waiting').count(), 0);
  assert.equal(await page.locator('.asked').count(), 0, 'nobody has asked');
  assert.deepEqual(page.faults, []);
});

test('what the page loads is small', async () => {
  const dir = fileURLToPath(new URL('../internal/web/static/page/assets/', import.meta.url));
  let size = 0;
  // But for what is loaded with the first code block and the first formula.
  for (const name of await readdir(dir)) if (!/^(highlight|maths)-/.test(name)) size += gzipSync(await readFile(dir + name)).length;
  assert.ok(size > 30_000 && size < 250_000, `${size} bytes, compressed`);
});

test('formulas are set when they are complete, and prices are none', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: QUICK });
  const page = await openPage(t, await openBrowser(t), gateway, 'formulas');
  const requested = [];
  page.on('request', (request) => requested.push(request.url()));
  const publish = publisher(gateway, 'formulas');
  const formulas = page.locator('.markdown math');
  await publish({ type: 'delta', text: 'It costs $5, or $10 with `\\(x\\)` and $ 3.\n\n```sh\necho $HOME $PATH\n```\n\n' });
  await page.getByText('It costs $5, or $10 with').waitFor();
  assert.ok(!requested.some((url) => url.includes('maths-')), 'what sets formulas is loaded without one');
  await publish({ type: 'delta', text: 'The roots:\n\n$$x_{1,2} = \\frac{-b \\pm \\sqrt{b^2' });
  await page.locator('.markdown .tex', { hasText: '$$x_{1,2} = \\frac{-b' }).waitFor(); // as it is, nothing in italics
  assert.equal(await formulas.count(), 0);
  await publish({ type: 'delta', text: ' - 4ac}}{2a}$$\n\nand' });
  await formulas.first().waitFor();
  // From here on it stays, whatever comes after it.
  await page.evaluate(() => {
    globalThis.fewest = Infinity;
    const count = () => (globalThis.fewest = Math.min(globalThis.fewest, document.querySelectorAll('.markdown math').length));
    new MutationObserver(count).observe(document.querySelector('.markdown'), { childList: true, subtree: true, characterData: true });
  });
  for (const text of [' so $e^{i\\pi}', ' + 1 = 0$, and', ' \\(a_', 'n\\), \\[\\begin{pmatrix} a & b \\\\ c & d', ' \\end{pmatrix}\\] ', '**bold**', ' end $\\frac{broken$.']) await publish({ type: 'delta', text });
  await publish({ type: 'generation.done' });
  await answered(page);
  assert.equal(await formulas.count(), 4);
  assert.ok((await page.evaluate(() => globalThis.fewest)) >= 1, 'the first one went away in between');
  assert.equal(await page.locator('.markdown .tex').innerText(), '$\\frac{broken$');
  assert.equal(await formulas.locator('mfrac, msqrt').count(), 2);
  assert.equal(await formulas.first().evaluate((node) => getComputedStyle(node).display), 'block math');
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(page.faults, []);
  if (process.env.RUNNEL_SHOTS) await page.screenshot({ path: `${process.env.RUNNEL_SHOTS}/formulas.png` });
});

test('nothing that a model writes runs', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: QUICK });
  const page = await openPage(t, await openBrowser(t), gateway, 'hostile');
  const corpus = [
    '<script>window.hit = 1</script>',
    '<img src=x onerror="window.hit = 2">',
    '<svg onload="window.hit = 3"><script>window.hit = 3</script></svg>',
    '[click](javascript:window.hit=4) <a href="javascript:window.hit=4">click</a> <a href="data:text/html,<script>1</script>">click</a>',
    '<iframe srcdoc="<script>parent.hit = 5</script>"></iframe><object data="javascript:1"></object><embed src="javascript:1">',
    '<form action="javascript:window.hit=6"><button class="copy" onclick="window.hit=6">x</button><input autofocus onfocus="window.hit=6"></form>',
    '```"><img src=x onerror="window.hit=7">\ncode\n```',
    '| <img src=x onerror="window.hit=8"> |\n|---|\n| `<script>` |',
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.hit=9&gt;">',
    '![x](https://example.com/tracker.png) <style>*{display:none}</style><link rel=stylesheet href=//example.com><base href=//example.com>',
    '<details open ontoggle="window.hit=10"><summary>x</summary></details><video><source onerror="window.hit=10"></video>',
    '<div style="position:fixed;inset:0" id="prompt" name="getElementById">over everything</div>',
    '$$\\href{javascript:window.hit=12}{x}$$ $$\\includegraphics{https://example.com/tracker.png}$$ $$\\style{position:fixed}{x}$$ $$\\class{copy}{x}$$',
    '$$\\text{<img src=x onerror="window.hit=13">}$$ \\(<script>window.hit=13</script>\\) \\[</math><img src=x onerror="window.hit=13">\\]',
    '$$\\color{red;background:url(https://example.com/x)}{x}$$ \\(\\rule{9999em}{9999em}\\) $\\def\\a{\\a\\a}\\a$ \\(\\begin{html}<b onclick=window.hit=13>x</b>\\end{html}\\)',
    '&#x3C;script&#x3E;window.hit=11&#x3C;/script&#x3E; \u202e<b onmouseover=window.hit=11>x</b>',
  ];
  const outside = [];
  page.on('request', (request) => !request.url().startsWith(gateway.url) && !request.url().startsWith('data:') && outside.push(request.url()));
  const publish = publisher(gateway, 'hostile');
  for (const text of corpus) await publish({ type: 'delta', text: `${text}\n\n` });
  await publish({ type: 'generation.done' });
  await answered(page);
  for (const text of ['window.hit = 1', 'onerror="window.hit = 2"']) assert.ok((await answers(page).innerText()).includes(text), 'it is shown as it was written');
  for (const link of await page.locator('.markdown a[href]').all()) assert.match(await link.getAttribute('href'), /^https:/);
  for (const button of await page.locator('.markdown button').all()) await button.click();
  assert.equal(await page.evaluate(() => globalThis.hit), undefined);
  assert.equal(await page.locator('.markdown :is(script, iframe, form, input, style, img, object, embed, link, base, svg, video)').count(), 0);
  // What is set as a formula came from Temml, and it has set what is none as it was written.
  assert.equal(await page.locator('.markdown math :is(a, [href], [src], [class*=copy])').count(), 0);
  assert.equal(await page.locator('.markdown math').count(), 4);
  assert.equal(await page.locator('.markdown [style], .markdown [id], .markdown [name]').count(), 0);
  assert.deepEqual(outside, []);
  assert.deepEqual(page.faults, []);
});

test('text that is written from right to left', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: QUICK });
  const page = await openPage(t, await openBrowser(t), gateway, 'rtl');
  await ask(page, 'مرحبا، كيف حالك؟');
  await answered(page);
  const direction = (selector) => page.locator(selector).first().evaluate((node) => getComputedStyle(node).direction);
  assert.equal(await direction('.asked p'), 'rtl');
  assert.equal(await direction('section.answer'), 'ltr'); // echo answers in English
  assert.deepEqual(await violations(page), []);
});

/**
 * trace notes what a page's main thread does, until what it returns is called: that
 * returns how long its longest task took of the processor's time, in ms. How long it
 * took by the clock depends on what else the machine does.
 */
async function trace(page) {
  const session = await page.context().newCDPSession(page);
  const events = [];
  session.on('Tracing.dataCollected', ({ value }) => events.push(...value));
  await session.send('Tracing.start', { categories: 'toplevel', transferMode: 'ReportEvents' });
  return async () => {
    const over = new Promise((resolve) => session.once('Tracing.tracingComplete', resolve));
    await session.send('Tracing.end');
    await over;
    const mains = new Set(events.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(({ pid, tid }) => `${pid}/${tid}`));
    const tasks = events.filter(({ name, pid, tid, tdur }) => name.endsWith('RunTask') && tdur && mains.has(`${pid}/${tid}`));
    assert.ok(tasks.length > 100, 'there is no trace');
    return Math.max(...tasks.map(({ tdur }) => tdur / 1000));
  };
}

test('an answer of 20,000 tokens keeps the page quick', LIMIT, async (t) => {
  const gateway = await startGateway(t, { model: 'echo?ttft=0s&tps=4000&tokens=20000' });
  const page = await openPage(t, await openBrowser(t), gateway, 'long');
  await page.evaluate(() => {
    globalThis.long = [];
    new PerformanceObserver((list) => globalThis.long.push(...list.getEntries().map(({ duration }) => duration))).observe({ entryTypes: ['longtask'] });
  });
  const longest = await trace(page);
  await ask(page, 'Everything, please');
  await answered(page);
  const most = await longest();
  t.diagnostic(`the longest task: ${most.toFixed(0)} ms of the processor`);
  assert.ok(most < 100, `a task of ${most} ms`);
  const long = await page.evaluate(() => globalThis.long);
  t.diagnostic(`long tasks: ${long.map(Math.round)} ms`);
  same(await said(page), await written(gateway, 'long'));
  // Once it is complete, nothing of it goes on.
  const heap = () =>
    page.evaluate(() => {
      globalThis.gc();
      return performance.memory.usedJSHeapSize;
    });
  await heap();
  const before = await heap();
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 3000)));
  const after = await heap();
  t.diagnostic(`heap: ${(before / 2 ** 20).toFixed(1)} MiB when it is complete, ${(after / 2 ** 20).toFixed(1)} MiB later`);
  assert.ok(after < before + 2 ** 20, `it grows: ${before} bytes, then ${after}`);
});
