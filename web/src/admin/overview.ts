/** What /v1/admin/overview says. */
export interface Overview {
  node: string;
  time: string;
  queue_depth: number;
  generations: Generation[];
  more: boolean;
  nodes: { node: string; time: string; figures: Figures }[];
}

export interface Generation {
  generation: string;
  session: string;
  state: 'queued' | 'running';
  attempt: number;
  model?: string;
  node?: string;
  fragments: number;
  accepted_at?: string;
  cancelling?: boolean;
}

/** Figures count from the start of a node's process. */
export interface Figures {
  readers: Record<string, number>;
  connections: number;
  sessions_read: number;
  in_flight: number;
  fragments: number;
  models: Record<string, ModelFigures>;
  refused: Record<string, number>;
}

export interface ModelFigures {
  attempts: number;
  outcomes: Record<string, number>;
  failures: Record<string, number>;
  retries: Record<string, number>;
  fragments: number;
  first_token: { count: number; sum: number; at_most: [seconds: number, count: number][] | null };
}

/** A ModelRow is how a model fares on all nodes: since they started, and of late. */
export interface ModelRow {
  name: string;
  attempts: number;
  failed: number;
  retried: number;
  tokensPerSecond: number;
  /** Seconds; undefined if no answer has begun of late. */
  median: number | undefined;
  slow: number | undefined;
}

const WINDOW = 60_000;

/** A Recent keeps what was said in the last minute, to tell rates from sums. */
export class Recent {
  #samples: { at: number; nodes: Map<string, Figures> }[] = [];

  add(overview: Overview, at: number): void {
    this.#samples.push({ at, nodes: new Map(overview.nodes.map((n) => [n.node, n.figures])) });
    while (this.#samples.length > 2 && at - this.#samples[0]!.at > WINDOW) this.#samples.shift();
  }

  /** models returns a row per model, by name. */
  models(): ModelRow[] {
    const last = this.#samples.at(-1);
    if (!last) return [];
    const rows = new Map<string, ModelRow & { late: Map<number, number>; lateCount: number }>();
    for (const [node, figures] of last.nodes) {
      const first = this.#samples.find((s) => s.nodes.has(node))!;
      const seconds = (last.at - first.at) / 1000;
      for (const [name, now] of Object.entries(figures.models)) {
        // A model that was not there is new, and so is a node that counts less than before.
        let then = first.nodes.get(node)!.models[name];
        if (then && then.attempts > now.attempts) then = undefined;
        const row = rows.get(name) ?? {
          name, attempts: 0, failed: 0, retried: 0, tokensPerSecond: 0, median: undefined, slow: undefined, late: new Map(), lateCount: 0,
        };
        rows.set(name, row);
        row.attempts += now.attempts;
        row.failed += now.outcomes['failed'] ?? 0;
        row.retried += sum(now.retries);
        if (seconds > 0) row.tokensPerSecond += (now.fragments - (then?.fragments ?? 0)) / seconds;
        const before = new Map(then?.first_token.at_most ?? []);
        for (const [most, count] of now.first_token.at_most ?? []) {
          row.late.set(most, (row.late.get(most) ?? 0) + count - (before.get(most) ?? 0));
        }
        row.lateCount += now.first_token.count - (then?.first_token.count ?? 0);
      }
    }
    return [...rows.values()]
      .sort((a, b) => a.name.localeCompare(b.name))
      .map(({ late, lateCount, ...row }) => ({ ...row, median: quantile(late, lateCount, 0.5), slow: quantile(late, lateCount, 0.95) }));
  }
}

/** quantile is the bound below which so many of the observations lie. */
export function quantile(atMost: Map<number, number>, count: number, q: number): number | undefined {
  if (count <= 0) return undefined;
  const bounds = [...atMost].sort(([a], [b]) => a - b);
  return (bounds.find(([, n]) => n >= q * count) ?? [Infinity])[0];
}

export function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0);
}

/** doors adds up the readers of all nodes, by door; those of none are left out. */
export function doors(overview: Overview): [door: string, readers: number][] {
  const all: Record<string, number> = {};
  for (const { figures } of overview.nodes) {
    for (const [door, n] of Object.entries(figures.readers)) all[door] = (all[door] ?? 0) + n;
  }
  return Object.entries(all).sort(([a], [b]) => a.localeCompare(b));
}
