import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Answer } from '../dist/index.js';

const answer = (...events) => {
  const a = new Answer();
  for (const event of events) a.apply({ v: 1, generation: 'g', attempt: 1, ...event });
  return a;
};
const started = (attempt) => ({ type: 'generation.started', attempt, model: 'm' });
const delta = (attempt, text) => ({ type: 'delta', attempt, text });
const reset = (attempt, text) => ({ type: 'reset', attempt, text });

test('what an attempt said stands until the next one says otherwise', () => {
  assert.equal(answer(started(1), delta(1, 'half'), started(2)).text, 'half');
  assert.equal(answer(started(1), delta(1, 'half'), started(2), reset(2, 'half'), delta(2, ' rest')).text, 'half rest');
  assert.equal(answer(started(1), delta(1, 'half'), started(2), reset(2, ''), delta(2, 'whole')).text, 'whole');
  // The model would not go on after all.
  assert.equal(answer(started(1), delta(1, 'half'), started(2), reset(2, 'half'), reset(2, ''), delta(2, 'whole')).text, 'whole');
});

test('a worker that was replaced is ignored', () => {
  const a = answer(started(1), delta(1, 'half'), started(2), delta(1, ' late'), reset(2, 'half'), delta(1, ' later'), delta(2, ' rest'));
  assert.equal(a.text, 'half rest');
  assert.equal(a.attempt, 2);
});
