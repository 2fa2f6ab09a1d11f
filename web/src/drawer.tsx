import type { Conversation } from './conversation';
import type { Exchange } from './exchange';
import { seconds } from './turn';

/** Drawer shows what comes over the wire, and the times that matter. */
export function Drawer({ conversation }: { conversation: Conversation }) {
  const last = conversation.exchanges.value.at(-1);
  void last?.version.value;
  return (
    <aside class="drawer" aria-label="Events" tabIndex={0}>
      <h2>Events</h2>
      <dl>
        <dt>Session</dt>
        <dd>
          <code>{conversation.id}</code>
        </dd>
        {last && <Hops exchange={last} />}
      </dl>
      <ol>
        {conversation.log.value.toReversed().map(({ number, at, type, detail, cursor }) => (
          <li key={number}>
            <p>
              <time>{new Date(at).toISOString().slice(11, 23)}</time> <b>{type}</b> {cursor && <code>{cursor}</code>}
            </p>
            {detail && <span dir="auto">{detail}</span>}
          </li>
        ))}
      </ol>
    </aside>
  );
}

/** Hops tells how long each step took, and marks the slowest before the first token. */
function Hops({ exchange }: { exchange: Exchange }) {
  const { sent, accepted, started, first, ended } = exchange.times;
  const hops: [string, number | undefined][] = [
    ['Accepted after', minus(accepted, sent)],
    ['In the queue', minus(started, accepted)],
    ['To the first token', minus(first, started)],
  ];
  const slowest = Math.max(...hops.map(([, took]) => took ?? 0));
  const streamed = minus(ended ?? (first && performance.now()), first);
  const rate = streamed && exchange.pieces > 1 ? (exchange.answer.usage?.output_tokens ?? exchange.pieces) / (streamed / 1000) : undefined;
  return (
    <>
      {hops.map(([name, took]) => (
        <>
          <dt>{name}</dt>
          <dd class={took && took === slowest ? 'slowest' : ''}>
            {took === undefined ? '–' : seconds(Math.max(took, 0))}
            {took && took === slowest ? ' (slowest)' : ''}
          </dd>
        </>
      ))}
      <dt>Tokens a second</dt>
      <dd>{rate === undefined ? '–' : rate.toFixed(0)}</dd>
    </>
  );
}

function minus(later?: number, earlier?: number): number | undefined {
  return later === undefined || earlier === undefined ? undefined : later - earlier;
}
