import { expect, test } from 'vitest';

import { quantile, Recent, type Figures, type Overview } from '../src/admin/overview';

const figures = (attempts: number, fragments: number, first: number): Figures => ({
  readers: {}, connections: 0, sessions_read: 0, in_flight: 0, fragments, refused: {},
  models: {
    echo: {
      attempts, fragments, outcomes: { failed: 1 }, failures: {}, retries: { unavailable: 2 },
      first_token: { count: attempts, sum: 0, at_most: [[0.1, first], [1, attempts]] },
    },
  },
});
const said = (nodes: Record<string, Figures>): Overview => ({
  node: 'a', time: '', queue_depth: 0, generations: [], more: false,
  nodes: Object.entries(nodes).map(([node, f]) => ({ node, time: '', figures: f })),
});

test('rates are of what came since, on each node', () => {
  const recent = new Recent();
  recent.add(said({ a: figures(10, 1000, 10) }), 0);
  recent.add(said({ a: figures(12, 1100, 10), b: figures(500, 90000, 500) }), 10_000);
  const [echo] = recent.models();
  // b has been heard of just once: its sums are no rates.
  expect(echo).toEqual({ name: 'echo', attempts: 512, failed: 2, retried: 4, tokensPerSecond: 10, median: 1, slow: 1 });
});

test('a node that counts less than before has started anew', () => {
  const recent = new Recent();
  recent.add(said({ a: figures(10, 1000, 10) }), 0);
  recent.add(said({ a: figures(1, 50, 1) }), 10_000);
  expect(recent.models()[0]).toMatchObject({ tokensPerSecond: 5, median: 0.1 });
});

test('what is older than a minute does not count', () => {
  const recent = new Recent();
  for (let second = 0; second <= 120; second++) recent.add(said({ a: figures(10, second < 60 ? second * 1000 : 60_000, 10) }), second * 1000);
  expect(recent.models()[0]).toMatchObject({ tokensPerSecond: 0, median: undefined });
});

test('quantiles', () => {
  const atMost = new Map([[1, 5], [2, 9], [4, 9]]);
  expect([quantile(atMost, 10, 0.5), quantile(atMost, 10, 0.9), quantile(atMost, 10, 0.95), quantile(atMost, 0, 0.5)]).toEqual([1, 2, Infinity, undefined]);
});
