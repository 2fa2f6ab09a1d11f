import { setTimeout as pause } from 'node:timers/promises';

// LIMIT bounds every test: one that hangs fails, with the gateway's log.
export const LIMIT = { timeout: 60_000 };

/** until asks again and again until ask returns something true, and returns it. */
export async function until(what, ask, patience = 20_000) {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited ${patience} ms in vain until ${what}`);
    await pause(10);
  }
}

const stacks = new WeakMap();

/**
 * defer runs undo when the test t is over, the last one first: what was started
 * later may still be using what was started earlier. The test runner's own hooks
 * run in the other order.
 */
export function defer(t, undo) {
  let stack = stacks.get(t);
  if (!stack) {
    stacks.set(t, (stack = []));
    t.after(async () => {
      while (stack.length > 0) await stack.pop()();
    });
  }
  stack.push(undo);
}
