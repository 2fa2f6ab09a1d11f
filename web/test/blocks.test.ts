import { expect, test } from 'vitest';

import { Blocks } from '../src/blocks';

const text = [
  '# Title\n\n',
  'A paragraph\nof two lines.\n\n',
  '- one\n- two\n\n  within two\n\n- three\n\n',
  'After the list.\n\n',
  '```js\nlet a;\n\nlet b;\n```\n\n',
  '~~~\n```\n\n~~~\n\n',
  '| a | b |\n|---|---|\n| 1 | 2 |\n\n',
  '    code by its margin\n\n',
  'The end\n',
].join('');

test('whatever the pieces, the blocks are the same, and joined they are the text', () => {
  const whole = new Blocks();
  whole.set(text);
  expect(whole.done.join('') + whole.tail).toBe(text);
  expect(whole.done.map((block) => block.split('\n')[0])).toEqual([
    '# Title',
    'A paragraph',
    '- one',
    'After the list.',
    '```js',
    '~~~',
    '| a | b |',
    '    code by its margin',
  ]);
  for (const step of [1, 2, 3, 7, 50]) {
    const grown = new Blocks();
    for (let at = step; at < text.length; at += step) {
      const before = [...grown.done];
      expect(grown.set(text.slice(0, at))).toBe(false);
      expect(grown.done.slice(0, before.length)).toEqual(before);
    }
    grown.set(text);
    expect(grown.done).toEqual(whole.done);
    expect(grown.tail).toBe(whole.tail);
  }
});

test('another text begins anew', () => {
  const blocks = new Blocks();
  blocks.set('one\n\ntwo\n\nthree');
  expect(blocks.set('one\n\nzwei\n')).toBe(true);
  expect([...blocks.done, blocks.tail]).toEqual(['one\n\n', 'zwei\n']);
});

test('a long list is cut between its items', () => {
  const items = Array.from({ length: 500 }, (_, n) => `${n + 1}. an item of the list\n   - one within it\n`);
  const blocks = new Blocks();
  blocks.set(items.join(''));
  expect(blocks.done.length).toBeGreaterThan(3);
  expect(blocks.done.join('') + blocks.tail).toBe(items.join(''));
  for (const block of [...blocks.done, blocks.tail]) {
    expect(block).toMatch(/^\d+\. /);
    expect(block.length).toBeLessThan(5000);
  }
});

test('an open fence keeps its blank lines together', () => {
  const blocks = new Blocks();
  blocks.set('text\n\n```\none\n\ntwo\n\nthree\n');
  expect(blocks.done).toEqual(['text\n\n']);
  expect(blocks.tail).toBe('```\none\n\ntwo\n\nthree\n');
});
