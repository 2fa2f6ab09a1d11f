import { Answer, isTerminal, type SessionEvent, type Turn } from '@runnelhq/client';
import { signal } from '@preact/signals';

/** When what happened, as this page has seen it, in ms of performance.now(). */
export interface Times {
  sent?: number;
  accepted?: number;
  started?: number;
  first?: number;
  ended?: number;
}

/** A question and its answer. */
export class Exchange {
  readonly answer = new Answer();
  readonly times: Times = {};
  /** Rises when there is something new to show, once a frame at most. */
  readonly version = signal(0);
  progress: unknown;
  pieces = 0;
  #pending = false;

  constructor(
    /** Empty until the question is accepted. */
    public generation: string,
    public prompt: string,
  ) {}

  static fromTurn(turn: Turn): Exchange {
    const exchange = new Exchange(turn.generation, textOf(turn));
    const { answer } = exchange;
    answer.generation = turn.generation;
    answer.attempt = turn.attempt;
    answer.state = turn.state;
    answer.model = turn.model ?? '';
    answer.text = turn.text;
    answer.reasoning = turn.reasoning ?? '';
    answer.tools = (turn.tools ?? []).map(({ id, name, input }, index) => ({ index, id, name, input: JSON.stringify(input) }));
    answer.stopReason = turn.stop_reason ?? '';
    if (turn.usage) answer.usage = turn.usage;
    if (turn.failure) answer.failure = turn.failure;
    return exchange;
  }

  apply(event: SessionEvent): void {
    const now = performance.now();
    if (event.type === 'generation.queued') this.prompt ||= event.prompt;
    if (event.type === 'generation.started') this.times.started ??= now;
    if (event.type === 'delta' || event.type === 'reasoning' || event.type === 'tool') {
      this.times.first ??= now;
      this.pieces++;
    }
    if (event.type === 'progress') this.progress = event.progress;
    if (isTerminal(event)) {
      this.times.ended ??= now;
      this.progress = undefined;
    }
    this.answer.apply(event);
    this.changed();
  }

  /** changed shows what is new, in the next frame. A hidden page has none, and is shown when it is back. */
  changed(): void {
    if (this.#pending) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      this.version.value++;
    });
  }
}

/** textOf is the question of a turn: the last thing that its user said. */
function textOf(turn: Turn): string {
  const last = turn.prompt.findLast(({ role }) => role === 'user');
  return last?.parts.map(({ text }) => text ?? '').join('') ?? '';
}
