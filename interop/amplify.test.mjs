// Amplify in a real browser, on pages that somebody else serves.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { openBrowser } from './lib/browser.mjs';
import { bundle, serve } from './lib/bundle.mjs';
import { startGateway } from './lib/gateway.mjs';
import { transcript } from './lib/native.mjs';
import { until } from './lib/wait.mjs';

const LIMIT = { timeout: 120_000 }; // Amplify comes back after five seconds, or after a minute
const SLOW = 'echo?ttft=20ms&tps=25&tokens=250'; // ten seconds
const MARKERS = ['#START_STREAM#', '#END_STREAM#', '#STREAM_ERROR#'];

const SUBSCRIBE = `subscription onSendMessage($sessionId: String!) {
  onSendMessage(sessionId: $sessionId) { locale message sessionId timeStamp }
}`;
const ASK = `query getLlmResponse($locale: String!, $message: String!, $sessionId: String!) {
  getLlmResponse(input: { locale: $locale, message: $message, sessionId: $sessionId }) { messages { content contentType } locale sessionId }
}`;

// The forms in which an endpoint can be written that serve both halves: Amplify 6
// listens over TLS for http://, and without it for HTTP://; Amplify 5 as it is told.
const FORMS = {
  'amplify6.js': ['http', 'https', 'HTTP'],
  'amplify5.js': ['http', 'https'],
};

for (const [script, schemes] of Object.entries(FORMS)) {
  test(`${script}: asks, is cut off in the middle, and goes on`, LIMIT, async (t) => {
    const url = await serve(t, await bundle(script));
    const gateway = await startGateway(t, { model: SLOW, args: ['--dev-tls', '--cors-origins', url] });
    const context = await openBrowser(t, { ignoreHTTPSErrors: true });
    const pages = [];
    for (const scheme of schemes) {
      const page = await context.newPage();
      await page.goto(url);
      const endpoint = `${scheme}://127.0.0.1:${new URL(gateway.url).port}/graphql`;
      const session = `${script}-${scheme}`;
      await page.evaluate(([e, q, s]) => globalThis.watch(e, q, s), [endpoint, SUBSCRIBE, session]);
      const { data } = await page.evaluate(([q, v]) => globalThis.ask(q, v).catch((err) => Promise.reject(new Error(JSON.stringify(err)))), [
        ASK,
        { locale: 'en_US', message: 'What is a log?', sessionId: session, history: [] },
      ]);
      assert.deepEqual(data.getLlmResponse.messages, [{ content: 'success', contentType: 'PlainText' }]);
      const shown = () => page.evaluate(() => globalThis.shown);
      await until(`${scheme}: there is some text`, async () => (await shown()).messages.length > 3);
      pages.push({ scheme, session, shown });
    }
    await gateway.kill();
    await gateway.start();
    for (const { scheme, session, shown } of pages) {
      await until(`${scheme}: the answer ends`, async () => (await shown()).messages.includes('#END_STREAM#'), 90_000);
      const { messages, errors } = await shown();
      assert.deepEqual(errors, [], scheme);
      // A kill may have taken back what was shown: then the answer begins again, with its mark.
      const text = messages
        .slice(messages.lastIndexOf('#START_STREAM#'))
        .filter((message) => !MARKERS.includes(message))
        .join('');
      assert.equal(text, (await transcript(gateway, session)).turns.at(-1).text, scheme);
      assert.equal(messages.filter((message) => message === '#END_STREAM#').length, 1, scheme);
    }
  });
}
