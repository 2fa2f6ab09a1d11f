import { memo } from 'preact/compat';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { Blocks } from './blocks';
import { FORMULA, render, renderTail, typesetter } from './markdown';

/** The share of the time that rendering the tail may take: one that is long is rendered less often. */
const SHARE = 0.2;
/** How many blocks are compared as one. */
const GROUP = 32;

/** Markdown shows a text that grows. Only its last block is ever rendered again. */
export function Markdown({ text, whole }: { text: string; whole: boolean }) {
  const blocks = useMemo(() => new Blocks(), []);
  const box = useRef<HTMLDivElement>(null);
  blocks.set(text);
  const { done, tail } = blocks;
  useEffect(() => {
    const { current } = box;
    if (!current?.querySelector('pre code[class^="language-"]:not([data-highlighted])')) return;
    void import('./highlight').then(({ highlight }) => highlight(current));
  }, [done.length, whole]);
  return (
    <div class="markdown" ref={box} onClick={copy}>
      {Array.from({ length: Math.ceil(done.length / GROUP) }, (_, at) => (
        <Group key={at} done={done} from={at * GROUP} to={Math.min(done.length, (at + 1) * GROUP)} />
      ))}
      {tail && (whole ? <Block key="tail" markdown={tail} /> : <Tail key="open" markdown={tail} />)}
    </div>
  );
}

/** Group shows some of the finished blocks: one that is full is never looked at again. */
const Group = memo(({ done, from, to }: { done: string[]; from: number; to: number }) => (
  <>
    {done.slice(from, to).map((block, at) => (
      <Block key={at} markdown={block} />
    ))}
  </>
));

const Block = memo(({ markdown }: { markdown: string }) => {
  const set = FORMULA.test(markdown) && typesetter.value;
  const html = useMemo(() => render(markdown), [markdown, set]);
  return <div class="block" dangerouslySetInnerHTML={{ __html: html }} />;
});

/** Tail is rendered as often as it changes, unless that takes too long. */
function Tail({ markdown }: { markdown: string }) {
  const last = useRef<{ html: string; at: number; took: number; set?: unknown }>({ html: '', at: -Infinity, took: 0 });
  const [, again] = useState(0);
  const now = performance.now();
  const set = FORMULA.test(markdown) && typesetter.value;
  const due = last.current.set === set ? last.current.at + last.current.took / SHARE : now;
  useEffect(() => {
    if (due <= now) return;
    const timer = setTimeout(() => again((n) => n + 1), due - now);
    return () => clearTimeout(timer);
  });
  if (due <= now) {
    const html = renderTail(markdown);
    last.current = { html, at: now, took: performance.now() - now, set };
  }
  return <div class="block open" dangerouslySetInnerHTML={{ __html: last.current.html }} />;
}

/** copy copies a code block: the buttons come with the rendered text and have no code of their own. */
function copy({ target }: Event): void {
  if (!(target instanceof HTMLButtonElement) || !target.classList.contains('copy')) return;
  const code = target.closest('.code')?.querySelector('code')?.textContent ?? '';
  void navigator.clipboard?.writeText(code).then(() => {
    target.textContent = 'Copied';
    setTimeout(() => (target.textContent = 'Copy'), 1500);
  });
}
