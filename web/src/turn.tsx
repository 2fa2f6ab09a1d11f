import { useSignal } from '@preact/signals';

import type { Exchange } from './exchange';
import { Again, Copy, Done, Edit } from './icons';
import { Markdown } from './markdown-view';

interface Props {
  exchanges: Exchange[]; // the answers to one question, oldest first
  busy: boolean;
  onEdit: (exchange: Exchange) => void;
  onAgain: (exchange: Exchange) => void;
}

export function Turn({ exchanges, busy, onEdit, onAgain }: Props) {
  const chosen = useSignal(-1); // the last, whichever that is
  const at = chosen.value < 0 || chosen.value >= exchanges.length ? exchanges.length - 1 : chosen.value;
  const exchange = exchanges[at]!;
  void exchange.version.value; // read, so that a change shows
  const { answer } = exchange;
  return (
    <article class="turn">
      {exchange.prompt && (
        <div class="asked">
          <p dir="auto">{exchange.prompt}</p>
          {!busy && exchange.generation && (
            <button type="button" class="icon" aria-label="Edit and ask again" title="Edit and ask again" onClick={() => onEdit(exchange)}>
              <Edit />
            </button>
          )}
        </div>
      )}
      <section class="answer" aria-label="Answer" aria-busy={!answer.ended} dir="auto">
        <Reasoning exchange={exchange} />
        <Markdown text={answer.text} whole={answer.ended} />
        <Tools exchange={exchange} />
        <Waiting exchange={exchange} />
        {answer.state === 'failed' && (
          <p class="failure" role="alert">
            {answer.failure?.message ?? 'The answer failed.'}
          </p>
        )}
        {answer.state === 'cancelled' && <p class="hint">Stopped</p>}
      </section>
      {answer.ended && (
        <footer>
          {exchanges.length > 1 && (
            <span class="variants">
              <button type="button" aria-label="The answer before" disabled={at === 0} onClick={() => (chosen.value = at - 1)}>
                ‹
              </button>
              {at + 1} of {exchanges.length}
              <button type="button" aria-label="The next answer" disabled={at + 1 === exchanges.length} onClick={() => (chosen.value = at + 1)}>
                ›
              </button>
            </span>
          )}
          <CopyButton text={answer.text} />
          {!busy && exchange.prompt && (
            <button
              type="button"
              class="icon"
              aria-label="Answer again"
              title="Answer again"
              onClick={() => {
                chosen.value = -1;
                onAgain(exchange);
              }}
            >
              <Again />
            </button>
          )}
          <span class="hint">{about(exchange)}</span>
        </footer>
      )}
      <p class="hidden" role="status">
        {answer.ended ? 'The answer is complete.' : ''}
      </p>
    </article>
  );
}

function CopyButton({ text }: { text: string }) {
  const copied = useSignal(false);
  if (!text) return null;
  const copy = async () => {
    await navigator.clipboard?.writeText(text);
    copied.value = true;
    setTimeout(() => (copied.value = false), 1500);
  };
  return (
    <button type="button" class="icon" aria-label={copied.value ? 'Copied' : 'Copy the answer'} title="Copy" onClick={() => void copy()}>
      {copied.value ? <Done /> : <Copy />}
    </button>
  );
}

function Reasoning({ exchange: { answer } }: { exchange: Exchange }) {
  if (!answer.reasoning) return null;
  return (
    <details class="aside">
      <summary>{answer.text || answer.ended ? 'Reasoning' : 'Thinking…'}</summary>
      <p dir="auto">{answer.reasoning}</p>
    </details>
  );
}

function Tools({ exchange: { answer } }: { exchange: Exchange }) {
  return (
    <>
      {answer.tools.map((call) => (
        <details class="aside" key={call.index}>
          <summary>
            Tool call <code>{call.name}</code>
          </summary>
          <pre>{pretty(call.input ?? '')}</pre>
        </details>
      ))}
    </>
  );
}

function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json; // it is still being told
  }
}

/** Waiting shows that something is being done, and what a worker says of it. */
function Waiting({ exchange: { answer, progress, generation } }: { exchange: Exchange }) {
  if (answer.ended) return null;
  const what = answer.state === 'running' ? (answer.text ? '' : 'Asking the model') : generation ? 'Waiting for its turn' : 'Sending';
  const status = progress === undefined ? what : typeof progress === 'string' ? progress : JSON.stringify(progress);
  return (
    <p class="waiting">
      <span class="dots" aria-hidden="true" /> {status}
    </p>
  );
}

function about({ answer, times }: Exchange): string {
  const parts = [answer.model];
  if (answer.usage) parts.push(`${answer.usage.output_tokens} tokens`);
  if (times.sent && times.first) parts.push(`first after ${seconds(times.first - times.sent)}`);
  return parts.filter(Boolean).join(' · ');
}

export function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
