// Model servers that refuse, throttle, lie and hang up.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startGateway } from './lib/gateway.mjs';
import { startMock, startWith, VENDORS } from './lib/models.mjs';
import { ask, transcript } from './lib/native.mjs';
import { LIMIT } from './lib/wait.mjs';

for (const vendor of VENDORS) {
  describe(`${vendor.name} over a faulty aimock`, () => {
    const start = async (t, options) => {
      const started = await startWith(t, vendor, { options, args: ['--retries', '1'] });
      started.mock.onMessage('hello', { content: 'Hello there, how are you?' });
      return started;
    };

    test('one throttled call is repeated, when the server said', LIMIT, async (t) => {
      const { mock, gateway } = await start(t);
      mock.nextRequestError(429, { message: 'slow down', type: 'rate_limit_error' }); // with Retry-After: 1
      const answer = await ask(gateway, 's', { prompt: 'hello' });
      assert.equal(answer.text, 'Hello there, how are you?');
      const [refused, served] = mock.getRequests();
      assert.deepEqual([refused.response.status, served.response.status], [429, 200]);
      assert.ok(served.timestamp - refused.timestamp >= 1000, `came back after ${served.timestamp - refused.timestamp} ms`);
    });

    for (const [what, chaos, kind] of [
      ['answers 500', { dropRate: 1 }, 'unavailable'],
      ['answers 429', { rateLimitRate: 1 }, 'limited'],
      ['hangs up', { disconnectRate: 1 }, 'unavailable'],
      ['answers with something unreadable', { malformedRate: 1 }, 'unavailable'],
    ]) {
      test(`a server that always ${what} is asked twice, and the generation fails as ${kind}`, LIMIT, async (t) => {
        const { mock, gateway } = await start(t, { chaos });
        const answer = await ask(gateway, 's', { prompt: 'hello' });
        assert.equal(answer.end.type, 'generation.failed');
        assert.equal(answer.end.kind, kind, JSON.stringify(answer.end));
        assert.equal(answer.text, '');
        assert.equal(mock.getRequests().length, 2);
        assert.doesNotMatch(answer.end.message, /chaos/i, 'the server’s own words are not for clients');
      });
    }

    for (const [status, kind] of [[400, 'invalid'], [401, 'denied'], [403, 'denied'], [404, 'invalid']]) {
      test(`a call that is refused with ${status} is not repeated, and the generation fails as ${kind}`, LIMIT, async (t) => {
        const { mock, gateway } = await start(t);
        mock.nextRequestError(status, { message: 'no' });
        const answer = await ask(gateway, 's', { prompt: 'hello' });
        assert.equal(answer.end.type, 'generation.failed');
        assert.equal(answer.end.kind, kind, JSON.stringify(answer.end));
        assert.equal(mock.getRequests().length, 1);
      });
    }

    test('an answer that is cut off keeps its text and fails, without a repetition', LIMIT, async (t) => {
      const { mock, gateway } = await start(t);
      const whole = 'This will be cut short, and nobody will ever know how it would have ended.';
      mock.onMessage('cut', { content: whole }, { truncateAfterChunks: 8, latency: 20 });
      const answer = await ask(gateway, 's', { prompt: 'cut' });
      assert.equal(answer.end.type, 'generation.failed', JSON.stringify(answer.end));
      assert.equal(answer.end.kind, 'unavailable');
      assert.ok(answer.text !== '' && answer.text !== whole && whole.startsWith(answer.text), answer.text);
      assert.equal(mock.getRequests().length, 1);
      const [turn] = (await transcript(gateway, 's')).turns;
      assert.deepEqual([turn.state, turn.text], ['failed', answer.text]);
    });

    test('a model that says nothing is given up', LIMIT, async (t) => {
      const { mock, gateway } = await startWith(t, vendor, { args: ['--retries', '0', '--first-token-timeout', '1s'] });
      mock.onMessage('hello', { content: 'Too late.' }, { streamingProfile: { ttft: 2000 } });
      const answer = await ask(gateway, 's', { prompt: 'hello' });
      assert.equal(answer.end.type, 'generation.failed');
      assert.equal(answer.end.kind, 'unavailable', JSON.stringify(answer.end));
    });

    test('a generation that failed does not spoil the session', LIMIT, async (t) => {
      const { mock, gateway } = await start(t);
      mock.nextRequestError(400, { message: 'no' });
      assert.equal((await ask(gateway, 's', { prompt: 'hello' })).end.type, 'generation.failed');
      const answer = await ask(gateway, 's', { prompt: 'hello again' });
      assert.equal(answer.end.type, 'generation.done', JSON.stringify(answer.end));
      assert.equal(mock.getLastRequest().body.messages.length, 1, 'an unanswered question is not history');
    });

    if (vendor.key) {
      test('the key goes where the server looks for it, and nowhere else', LIMIT, async (t) => {
        const mock = await startMock(t, { auth: { apiKeys: ['right-key-0123456789'] } });
        mock.onMessage('hello', { content: 'Come in.' });
        for (const [key, want] of [['right-key-0123456789', 'generation.done'], ['wrong-key-9876543210', 'generation.failed']]) {
          const gateway = await startGateway(t, { model: vendor.model(mock.url), env: { [vendor.key]: key } });
          const answer = await ask(gateway, 's', { prompt: 'hello' });
          assert.equal(answer.end.type, want);
          assert.doesNotMatch(gateway.log + JSON.stringify(answer), /-key-/);
        }
      });
    }
  });
}

test('when one vendor is down the next one answers', LIMIT, async (t) => {
  const [openai, anthropic] = VENDORS;
  const down = await startMock(t, { chaos: { dropRate: 1 } });
  const up = await startMock(t);
  up.onMessage('hello', { content: 'At your service.' });
  const model = `${openai.model(down.url)},${anthropic.model(up.url)}`;
  const gateway = await startGateway(t, { model, args: ['--retries', '0'] });
  const answer = await ask(gateway, 's', { prompt: 'hello' });
  assert.equal(answer.text, 'At your service.');
  assert.deepEqual(answer.models, ['openai/gpt-5-mini', 'anthropic/claude-sonnet-4-20250514']);
  assert.equal(down.getRequests().length, 1);
});
