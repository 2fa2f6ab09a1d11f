import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';

import { show } from './app';
import type { Conversation } from './conversation';
import { fresh } from './conversations';
import type { Exchange } from './exchange';
import { Down, Mark, Send, Stop } from './icons';
import { LinkState } from './link';
import { Turn } from './turn';

/** How near the end a reader must be for the page to follow what is written, in pixels. */
const NEAR = 80;

export function Chat({ conversation }: { conversation: Conversation }) {
  const draft = useSignal(recall(conversation.id));
  const editing = useSignal<Exchange | undefined>(undefined);
  const failed = useSignal('');
  const field = useRef<HTMLTextAreaElement>(null);
  const exchanges = conversation.exchanges.value;
  const running = exchanges.findLast(({ answer }) => !answer.ended);

  useEffect(() => field.current?.focus(), []);
  useEffect(() => remember(conversation.id, draft.value), [draft.value]);
  useLayoutEffect(() => {
    const { current } = field;
    if (!current) return;
    current.style.blockSize = 'auto';
    current.style.blockSize = `${Math.min(current.scrollHeight, 240)}px`;
  }, [draft.value]);

  const send = async () => {
    const prompt = draft.value.trim();
    if (!prompt || (running && !editing.value)) return;
    const before = editing.value;
    draft.value = '';
    editing.value = undefined;
    failed.value = '';
    if (!before) return void conversation.send(prompt);
    const id = fresh();
    try {
      await conversation.fork(before, prompt, id);
      show(id);
    } catch (error) {
      failed.value = error instanceof Error ? error.message : String(error);
      draft.value = prompt;
      editing.value = before;
    }
  };

  const edit = (exchange: Exchange) => {
    editing.value = exchange;
    draft.value = exchange.prompt;
    field.current?.focus();
  };

  const leave = () => {
    editing.value = undefined;
    failed.value = '';
    draft.value = '';
  };

  return (
    <main>
      <Scroller conversation={conversation}>
        {exchanges.length === 0 && conversation.loaded.value && (
          <div class="welcome">
            <Mark />
            <h2>What would you like to ask?</h2>
            <p>
              Close this page in the middle of an answer, or open it on another device: it goes on where it is. The address above is all it takes.
            </p>
          </div>
        )}
        {variants(exchanges).map((group) => (
          <Turn
            key={group[0]!.generation || 'new'}
            exchanges={group}
            busy={running !== undefined}
            onEdit={edit}
            onAgain={(exchange) => void conversation.send(exchange.prompt)}
          />
        ))}
      </Scroller>
      <LinkState link={conversation.link} />
      <form
        class="composer"
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        {editing.value && (
          <p class="editing">
            Asking this instead begins another conversation.{' '}
            <button type="button" onClick={leave}>
              Cancel
            </button>
          </p>
        )}
        {failed.value && (
          <p class="failure" role="alert">
            {failed.value}
          </p>
        )}
        <label class="hidden" for="prompt">
          Your prompt
        </label>
        <div class="field">
          <textarea
            id="prompt"
            ref={field}
            rows={1}
            dir="auto"
            placeholder="Ask something"
            value={draft.value}
            onInput={({ currentTarget }) => (draft.value = currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'Escape' && editing.value) leave();
            else if (event.key === 'Escape' && running) void conversation.stop();
              if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
              event.preventDefault();
              void send();
            }}
          />
          {running && !editing.value ? (
            <button type="button" class="round stop" aria-label="Stop" title="Stop (Esc)" disabled={!running.generation} onClick={() => void conversation.stop()}>
              <Stop />
            </button>
          ) : (
            <button type="submit" class="round primary" aria-label="Send" title="Send (Enter)" disabled={!draft.value.trim()}>
              <Send />
            </button>
          )}
        </div>
        <p class="hint keys" aria-hidden="true">
          {running && !editing.value ? 'Esc stops the answer' : 'Enter sends, Shift + Enter begins a line'}
        </p>
      </form>
    </main>
  );
}

// What somebody has begun to write survives a reload, another conversation and a
// sign-in, but not its tab.
const DRAFT = 'runnel.draft.';

function recall(id: string): string {
  try {
    return sessionStorage.getItem(DRAFT + id) ?? '';
  } catch {
    return '';
  }
}

function remember(id: string, draft: string): void {
  try {
    if (draft) sessionStorage.setItem(DRAFT + id, draft);
    else sessionStorage.removeItem(DRAFT + id);
  } catch {
    // Forbidden or full: then it does not survive.
  }
}

/** variants groups the answers to one question that was asked again and again. */
function variants(exchanges: Exchange[]): Exchange[][] {
  const groups: Exchange[][] = [];
  for (const exchange of exchanges) {
    const last = groups.at(-1);
    if (last && exchange.prompt && last[0]!.prompt === exchange.prompt) last.push(exchange);
    else groups.push([exchange]);
  }
  return groups;
}

/** Scroller stays at the end while its reader does. */
function Scroller({ conversation, children }: { conversation: Conversation; children: preact.ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const away = useSignal(false);
  useEffect(() => {
    const { current } = box;
    if (!current || !inner.current) return;
    const watch = new ResizeObserver(() => {
      if (!away.peek()) current.scrollTop = current.scrollHeight;
    });
    watch.observe(inner.current);
    watch.observe(current);
    return () => watch.disconnect();
  }, [conversation]);
  const toEnd = () => {
    away.value = false;
    box.current?.scrollTo({ top: box.current.scrollHeight });
  };
  return (
    <div
      class="scroller"
      ref={box}
      role="log"
      aria-label="Conversation"
      aria-live="off"
      tabIndex={0}
      onScroll={({ currentTarget: at }) => (away.value = at.scrollHeight - at.scrollTop - at.clientHeight > NEAR)}
    >
      <div class="turns" ref={inner}>
        {children}
      </div>
      {away.value && (
        <button type="button" class="to-end" onClick={toEnd}>
          <Down /> To the end
        </button>
      )}
    </div>
  );
}
