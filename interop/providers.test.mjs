// The model vendors' APIs, as a server speaks them that nobody here wrote.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startGateway } from './lib/gateway.mjs';
import { startMock, startWith, VENDORS } from './lib/models.mjs';
import { ask, cancel, stream, transcript } from './lib/native.mjs';
import { LIMIT } from './lib/wait.mjs';

const TEXT = 'Größe: 10 µm → “fine”, <b>&amp;</b>\n\tsecond line, 日本語, {"json": "\\n"} and a tail.';

for (const vendor of VENDORS) {
  describe(`${vendor.name} over aimock`, () => {
    const start = (t) => startWith(t, vendor, {});

    test('the text arrives whole, in order and once, with stop reason and usage', LIMIT, async (t) => {
      const { mock, gateway } = await start(t);
      mock.onMessage('hello', { content: TEXT, usage: { input_tokens: 11, output_tokens: 7, prompt_tokens: 11, completion_tokens: 7 } });
      const answer = await ask(gateway, 'text', { prompt: 'hello' });
      assert.equal(answer.text, TEXT);
      assert.equal(answer.end.type, 'generation.done', JSON.stringify(answer.end));
      assert.equal(answer.end.stop_reason, 'end_turn');
      assert.deepEqual(answer.types.slice(0, 3), ['generation.queued', 'generation.started', 'delta']);
      assert.equal(answer.attempt, 1);
      if (vendor.has('usage')) {
        assert.equal(answer.end.usage.input_tokens, 11);
        assert.equal(answer.end.usage.output_tokens, vendor.has('output tokens') ? 7 : 0);
      }
      const { turns } = await transcript(gateway, 'text');
      assert.deepEqual(turns.map((turn) => [turn.text, turn.state]), [[TEXT, 'done']]);
    });

    test('tokens are passed on as the model says them', LIMIT, async (t) => {
      const { mock, gateway } = await start(t);
      const said = Array.from({ length: 20 }, (_, i) => `word${String(i).padStart(2, '0')}`).join(''); // one chunk each
      mock.onMessage('slowly', { content: said }, { streamingProfile: { ttft: 50, tps: 20 } });
      const answer = await ask(gateway, 'pace', { prompt: 'slowly' });
      assert.equal(answer.text, said);
      assert.ok(answer.arrivals.length >= 8, `${answer.arrivals.length} deltas`);
      const took = answer.arrivals.at(-1) - answer.arrivals[0];
      assert.ok(took > 600, `20 tokens, 50 ms apart, arrived within ${took} ms`);
    });

    test('the system text, the history and the parameters reach the model', LIMIT, async (t) => {
      const { mock, gateway } = await start(t);
      mock.onMessage('first', { content: 'One.' }).onMessage('second', { content: 'Two.' });
      await ask(gateway, 'history', { prompt: 'the first question' });
      const asked = { prompt: 'the second question', system: 'Be brief.', max_tokens: 77, temperature: 0.5 };
      assert.equal((await ask(gateway, 'history', asked)).text, 'Two.');
      const { body } = mock.getLastRequest();
      assert.deepEqual(body.messages.map(({ role, content }) => [role, textOf(content)]), [
        ['system', 'Be brief.'],
        ['user', 'the first question'],
        ['assistant', 'One.'],
        ['user', 'the second question'],
      ]);
      assert.equal(body.max_tokens, 77);
      assert.equal(body.temperature, 0.5);
    });

    test('text and tool calls keep their order', LIMIT, async (t) => {
      const { mock, gateway } = await start(t);
      const calls = [
        { id: 'toolu_1', name: 'weather', arguments: { city: 'Zürich', days: [1, 2] } },
        { id: 'toolu_2', name: 'clock', arguments: {} },
      ];
      mock.onMessage('tools', { content: 'Let me look.', toolCalls: calls });
      const answer = await ask(gateway, 'tools', { prompt: 'tools' });
      assert.equal(answer.text, 'Let me look.');
      assert.equal(answer.tools.length, 2);
      for (const [i, call] of calls.entries()) {
        assert.equal(answer.tools[i].name, call.name);
        assert.deepEqual(JSON.parse(answer.tools[i].input || '{}'), call.arguments);
        if (vendor.has('tool ids')) assert.equal(answer.tools[i].id, call.id);
        else assert.notEqual(answer.tools[i].id, '');
      }
      assert.equal(answer.end.stop_reason, 'tool_use');
      const [turn] = (await transcript(gateway, 'tools')).turns;
      assert.deepEqual(turn.tools.map(({ name, input }) => [name, input]), calls.map((call) => [call.name, call.arguments]));
    });

    test('a tool call that comes before the text has the first index', LIMIT, async (t) => {
      const { mock, gateway } = await start(t);
      const blocks = [
        { type: 'toolCall', name: 'weather', arguments: { city: 'Bern' } },
        { type: 'text', text: 'Asked.' },
      ];
      mock.onMessage('blocks', { blocks });
      const answer = await ask(gateway, 'blocks', { prompt: 'blocks' });
      assert.equal(answer.text, 'Asked.');
      assert.deepEqual(answer.tools.map(({ name, input }) => [name, JSON.parse(input)]), [['weather', { city: 'Bern' }]]);
      assert.ok(answer.types.indexOf('tool') < answer.types.indexOf('delta'), String(answer.types));
    });

    if (vendor.has('reasoning')) {
      test('reasoning is kept apart from the text', LIMIT, async (t) => {
        const { mock, gateway } = await start(t);
        const hidden = { reasoningSignature: 'c2lnbmVk', redactedThinking: ['b3BhcXVl'] }; // of Anthropic alone
        mock.onMessage('why', { content: 'Because.', reasoning: 'They ask for the reason…', ...hidden });
        const answer = await ask(gateway, 'reasoning', { prompt: 'why' });
        assert.equal(answer.text, 'Because.');
        assert.equal(answer.reasoning, 'They ask for the reason…');
        const [turn] = (await transcript(gateway, 'reasoning')).turns;
        assert.equal(turn.reasoning, answer.reasoning);
      });
    }

    if (vendor.has('stop reasons')) {
      test('an answer that is too long ends with max_tokens', LIMIT, async (t) => {
        const { mock, gateway } = await start(t);
        mock.onMessage('long', { content: 'It was a dark and', finishReason: 'length' });
        const answer = await ask(gateway, 'long', { prompt: 'long' });
        assert.equal(answer.end.stop_reason, 'max_tokens');
      });
    }

    test('an empty answer is an answer', LIMIT, async (t) => {
      const { mock, gateway } = await start(t);
      mock.onMessage('nothing', { content: '' });
      const answer = await ask(gateway, 'empty', { prompt: 'nothing' });
      assert.equal(answer.end.type, 'generation.done', JSON.stringify(answer.end));
      assert.equal(answer.text, '');
    });

    test('a stop ends the answer while the model still speaks', LIMIT, async (t) => {
      const { mock, gateway } = await start(t);
      mock.onMessage('endless', { content: 'and so on, '.repeat(60) }, { streamingProfile: { tps: 50 } });
      const types = [];
      for await (const event of stream(gateway, 'stop', { prompt: 'endless' })) {
        types.push(event.type);
        if (types.filter((type) => type === 'delta').length === 3 && types.at(-1) === 'delta') {
          assert.equal(await cancel(gateway, event.generation), 202);
        }
      }
      assert.equal(types.at(-1), 'generation.cancelled');
      assert.ok(types.length < 40, `${types.length} events`);
    });
  });
}

test('OpenRouter’s comments, reasoning and detailed usage are understood', LIMIT, async (t) => {
  const mock = await startMock(t);
  const usage = {
    prompt_tokens: 9,
    completion_tokens: 8,
    prompt_tokens_details: { cached_tokens: 4 },
    completion_tokens_details: { reasoning_tokens: 3 },
    cost: 0.0001,
  };
  mock.onMessage('hello', { content: 'Hi.', reasoning: 'Hm…', usage }, { openRouterProcessing: true });
  const gateway = await startGateway(t, { model: `openai/anthropic/claude-sonnet-4?base_url=${mock.url}/api/v1` });
  const answer = await ask(gateway, 's', { prompt: 'hello' });
  assert.deepEqual([answer.reasoning, answer.text], ['Hm…', 'Hi.']);
  assert.deepEqual(answer.end.usage, { input_tokens: 9, output_tokens: 8, cache_read_tokens: 4, reasoning_tokens: 3 });
  assert.equal(mock.getLastRequest().body.model, 'anthropic/claude-sonnet-4');
});

test('the name of a Bedrock model is one segment of the path, also if it is an ARN', LIMIT, async (t) => {
  const mock = await startMock(t);
  mock.onMessage('hello', { content: 'Hi.' });
  const bedrock = VENDORS.find(({ name }) => name === 'bedrock');
  const arn = 'arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123';
  const gateway = await startGateway(t, { model: `bedrock/${arn}`, env: bedrock.env(mock.url) });
  assert.equal((await ask(gateway, 's', { prompt: 'hello' })).text, 'Hi.');
  const { path, headers } = mock.getLastRequest();
  assert.equal(path, `/model/${encodeURIComponent(arn)}/converse-stream`);
  assert.ok(headers.authorization, 'the request is not signed');
});

function textOf(content) {
  return typeof content === 'string' ? content : content.map((part) => part.text).join('');
}
