import type { ComponentChildren } from 'preact';

import { signedOut } from '../gateway';
import { signOut, user } from '../identity';
import { Mark } from '../icons';
import { SignIn } from '../signin';
import { doors, type Generation, type Overview } from './overview';
import { denied, models, overview, said, signIn, stop, trouble } from './watch';

export function Admin() {
  const now = overview.value;
  return (
    <main class="admin">
      <header>
        <Mark />
        <h1>Runnel: operator</h1>
        <a href="/">Chat</a>
        {user.value && (
          <button type="button" onClick={signOut}>
            Sign out
          </button>
        )}
      </header>
      <p role="status" class={trouble.value ? 'failure' : 'hint'}>
        {trouble.value || said.value || (now ? 'Live' : 'Asking…')}
      </p>
      {denied.value && (
        <button type="button" class="primary" onClick={signIn}>
          Sign in as somebody else
        </button>
      )}
      {now && (
        <div class={trouble.value ? 'stale' : undefined}>
          <Sums now={now} />
          <Generations now={now} />
          <Models />
          <Nodes now={now} />
        </div>
      )}
      {signedOut.value && <SignIn again={denied.value} />}
    </main>
  );
}

function Sums({ now }: { now: Overview }) {
  const of = (pick: (figures: Overview['nodes'][number]['figures']) => number) => now.nodes.reduce((sum, n) => sum + pick(n.figures), 0);
  const tokens = models.value.reduce((sum, m) => sum + m.tokensPerSecond, 0);
  const sums: [string, string | number][] = [
    ['Queue', now.queue_depth],
    ['In flight', of((f) => f.in_flight)],
    ['Tokens per second', tokens.toFixed(1)],
    ['Sessions with readers', of((f) => f.sessions_read)],
    ['Connections', of((f) => f.connections)],
    ['Nodes', now.nodes.length],
  ];
  return (
    <dl class="sums">
      {sums.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Table({ name, heads, children, empty }: { name: string; heads: string[]; children: ComponentChildren; empty: boolean }) {
  return (
    <section aria-label={name} tabIndex={0} class="scroll">
      <table>
        <caption>{name}</caption>
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {empty ? (
            <tr>
              <td colSpan={heads.length} class="hint">
                None.
              </td>
            </tr>
          ) : (
            children
          )}
        </tbody>
      </table>
    </section>
  );
}

function Generations({ now }: { now: Overview }) {
  const name = now.more ? `Live generations, the oldest ${now.generations.length}` : 'Live generations';
  return (
    <Table name={name} heads={['State', 'Session', 'Model', 'Age', 'Tokens', 'Attempt', 'Node', 'Generation', 'Stop']} empty={now.generations.length === 0}>
      {now.generations.map((g) => (
        <Row key={g.generation} g={g} time={now.time} />
      ))}
    </Table>
  );
}

function Row({ g, time }: { g: Generation; time: string }) {
  return (
    <tr>
      <td>{g.cancelling ? 'stopping' : g.state}</td>
      <td class="name">
        <bdi>{g.session}</bdi>
      </td>
      <td>{g.model ?? ''}</td>
      <td>{g.accepted_at ? age(Date.parse(time) - Date.parse(g.accepted_at)) : ''}</td>
      <td>{g.fragments}</td>
      <td>{g.attempt || ''}</td>
      <td>{g.node ?? ''}</td>
      <td class="name">
        <code>{g.generation}</code>
      </td>
      <td>
        <button type="button" disabled={g.cancelling} aria-label={`Stop ${g.generation}`} onClick={() => void stop(g.generation)}>
          Stop
        </button>
      </td>
    </tr>
  );
}

function Models() {
  return (
    <Table
      name="Models"
      heads={['Model', 'Tokens per second', 'First token, median', 'First token, 95 %', 'Attempts', 'Failed', 'Calls repeated']}
      empty={models.value.length === 0}
    >
      {models.value.map((m) => (
        <tr key={m.name}>
          <td class="name">{m.name}</td>
          <td>{m.tokensPerSecond.toFixed(1)}</td>
          <td>{atMost(m.median)}</td>
          <td>{atMost(m.slow)}</td>
          <td>{m.attempts}</td>
          <td>{m.failed}</td>
          <td>{m.retried}</td>
        </tr>
      ))}
    </Table>
  );
}

function Nodes({ now }: { now: Overview }) {
  const names = doors(now).map(([door]) => door);
  return (
    <Table name="Readers by door" heads={['Node', ...names, 'Connections', 'Refused by limits']} empty={now.nodes.length === 0}>
      {now.nodes.map(({ node, figures }) => (
        <tr key={node}>
          <td class="name">{node}</td>
          {names.map((door) => (
            <td key={door}>{figures.readers[door] ?? 0}</td>
          ))}
          <td>{figures.connections}</td>
          <td>{Object.values(figures.refused).reduce((a, b) => a + b, 0)}</td>
        </tr>
      ))}
    </Table>
  );
}

/** atMost shows the bound of a bucket: what is known is that it was less. */
function atMost(seconds: number | undefined): string {
  if (seconds === undefined) return '–';
  if (seconds === Infinity) return '> 1 min';
  return seconds < 1 ? `≤ ${Math.round(seconds * 1000)} ms` : `≤ ${seconds.toFixed(1)} s`;
}

function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  return seconds < 3600 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
}
