import { Answer, RunnelError, type Cursor, type Notice, type Position, type Transcript } from '@runnelhq/client';
import { signal } from '@preact/signals';

import { isKnown, touch } from './conversations';
import { Exchange } from './exchange';
import { headers, open, signedOut } from './gateway';
import { model } from './settings';

/** How the connection is: what a person is told of it. */
export type Link =
  | { state: 'connecting' | 'live' }
  | { state: 'lost'; until: number; why: string }
  | { state: 'back'; from: Cursor }
  | { state: 'refused'; why: string };

/** A line of the drawer. */
export interface Logged {
  number: number;
  at: number;
  cursor?: Cursor;
  type: string;
  generation: string;
  detail: string;
}

const MAX_LOG = 500;
const MAX_CACHE = 400_000; // characters of a conversation that a browser keeps for when it is offline

/** A Conversation shows one session for as long as it is open. */
export class Conversation {
  readonly exchanges = signal<Exchange[]>([]);
  readonly link = signal<Link>({ state: 'connecting' });
  readonly log = signal<Logged[]>([]);
  readonly loaded = signal(false);
  cursor: Cursor = '0';
  #stop = new AbortController();
  #count = 0;

  constructor(readonly id: string) {
    this.#recall();
    void this.#run();
  }

  close(): void {
    this.#stop.abort();
    this.#keep();
  }

  /** The exchange that is being answered, if one is. */
  get running(): Exchange | undefined {
    return this.exchanges.value.findLast(({ answer }) => !answer.ended);
  }

  async send(prompt: string): Promise<void> {
    const exchange = new Exchange('', prompt);
    exchange.times.sent = performance.now();
    this.exchanges.value = [...this.exchanges.value, exchange];
    touch(this.id, prompt);
    try {
      const body = model.value ? { prompt, model: model.value } : { prompt };
      const receipt = await open((notice) => this.#notice(notice)).submit(this.id, body, { signal: this.#stop.signal });
      exchange.times.accepted = performance.now();
      const known = this.exchanges.value.find(({ generation }) => generation === receipt.generation);
      if (known && known !== exchange) {
        // Its events were faster than its receipt, and another of ours took them.
        Object.assign(known.times, { ...exchange.times, ...known.times });
        this.exchanges.value = this.exchanges.value.filter((other) => other !== exchange);
      }
      exchange.generation = receipt.generation;
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      exchange.answer.state = 'failed';
      exchange.answer.failure = failureOf(error);
      exchange.changed();
      if (error instanceof RunnelError && error.kind === 'unauthenticated') signedOut.value = true;
    }
    this.exchanges.value = [...this.exchanges.value];
  }

  async stop(): Promise<void> {
    const { running } = this;
    if (!running?.generation) return;
    await open()
      .cancel(running.generation)
      .catch((error: unknown) => this.#refused(error));
  }

  /** fork begins another conversation with what was said before an exchange, and another question. */
  async fork(before: Exchange, prompt: string, id: string): Promise<void> {
    const messages: { role: string; parts: { type: 'text'; text: string }[] }[] = [];
    const say = (role: string, text: string) => text && messages.push({ role, parts: [{ type: 'text', text }] });
    for (const exchange of this.exchanges.value) {
      if (exchange === before) break;
      say('user', exchange.prompt);
      say('assistant', exchange.answer.text);
    }
    say('user', prompt);
    const body = JSON.stringify({ id, messages, ...(model.value ? { model: model.value } : {}) });
    const shown = { 'content-type': 'application/json', ...(await headers()) };
    const response = await fetch('/api/chat', { method: 'POST', headers: shown, body }).catch((cause: unknown) => {
      throw new Error('The gateway cannot be reached. Try again.', { cause });
    });
    if (!response.ok) throw new Error(`The gateway does not take it: ${await response.text()}`);
    void response.body?.cancel(); // which stops nothing: the conversation shows it
    touch(id, prompt);
  }

  async #run(): Promise<void> {
    const client = open((notice) => this.#notice(notice));
    try {
      const transcript = await client.transcript(this.id, { signal: this.#stop.signal });
      this.#show(transcript);
      for await (const position of client.positions(this.id, { after: this.cursor, signal: this.#stop.signal })) this.#take(position);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      if (error instanceof RunnelError && error.kind === 'gone') {
        this.cursor = '0';
        return this.#run(); // what it has not seen is in the transcript
      }
      this.#refused(error);
    }
  }

  #refused(error: unknown): void {
    if (error instanceof RunnelError && error.kind === 'unauthenticated') signedOut.value = true; // which asks
    else this.link.value = { state: 'refused', why: failureOf(error).message };
  }

  #show(transcript: Transcript): void {
    const shown = transcript.turns.map(Exchange.fromTurn);
    const unsent = this.exchanges.value.filter(({ generation }) => generation === '');
    const active = transcript.active.map(({ generation }) => {
      return this.exchanges.value.find((known) => known.generation === generation) ?? new Exchange(generation, '');
    });
    for (const exchange of active) this.#begin(exchange);
    this.exchanges.value = [...shown, ...active, ...unsent];
    // An answer in flight is read from its start.
    this.cursor = transcript.active[0]?.cursor ?? transcript.cursor;
    this.loaded.value = true;
    this.#list();
    this.#notice({ wait: 0 });
    this.#keep();
  }

  /** #list puts a conversation that was opened by its address among the others. */
  #list(): void {
    if (isKnown(this.id)) return;
    const first = this.exchanges.value.find(({ prompt, answer }) => prompt || answer.text);
    if (first) touch(this.id, first.prompt || first.answer.text);
  }

  /** #begin forgets what was known of an answer that is read again from its start. */
  #begin(exchange: Exchange): void {
    Object.assign(exchange.answer, new Answer());
  }

  #take({ event, cursor }: Position): void {
    if (cursor) this.cursor = cursor;
    if (this.link.value.state === 'connecting') this.link.value = { state: 'live' };
    this.#note(event.type, event.generation, detailOf(event), cursor);
    if (event.type === 'reset' && event.generation === '') {
      this.exchanges.value = [];
      return;
    }
    let exchange = this.exchanges.value.find(({ generation }) => generation === event.generation);
    if (!exchange) {
      exchange = this.#claim(event.generation) ?? new Exchange(event.generation, '');
      if (!this.exchanges.value.includes(exchange)) this.exchanges.value = [...this.exchanges.value, exchange];
    }
    const ended = exchange.answer.ended;
    exchange.apply(event);
    if (exchange.answer.ended !== ended) {
      this.exchanges.value = [...this.exchanges.value];
      this.#list();
      this.#keep();
    }
  }

  /** #claim finds the question of ours whose receipt is still on its way: its events may be faster. */
  #claim(generation: string): Exchange | undefined {
    const waiting = this.exchanges.value.find((exchange) => exchange.generation === '' && !exchange.answer.ended);
    if (waiting) waiting.generation = generation;
    return waiting;
  }

  #notice({ error, wait }: Notice): void {
    if (error) {
      this.link.value = { state: 'lost', until: Date.now() + wait, why: error.message };
      this.#note('connection.lost', '', error.message);
      return;
    }
    if (this.link.value.state === 'lost') {
      this.link.value = { state: 'back', from: this.cursor };
      this.#note('connection.resumed', '', `after ${this.cursor}`);
    } else if (this.link.value.state !== 'back') this.link.value = { state: 'live' };
  }

  #note(type: string, generation: string, detail: string, cursor?: Cursor): void {
    const line: Logged = { number: ++this.#count, at: Date.now(), type, generation, detail, ...(cursor ? { cursor } : {}) };
    this.log.value = [...this.log.value.slice(-MAX_LOG + 1), line];
  }

  /** #keep keeps the conversation for when there is no network. */
  #keep(): void {
    const turns = this.exchanges.value
      .filter(({ answer, generation }) => answer.ended && generation)
      .map(({ generation, prompt, answer }) => ({ generation, prompt, text: answer.text, state: answer.state, model: answer.model }));
    const text = JSON.stringify(turns);
    try {
      if (turns.length > 0 && text.length < MAX_CACHE) localStorage.setItem(`runnel.cache.${this.id}`, text);
    } catch {
      // Full or forbidden: then it is there with the network only.
    }
  }

  #recall(): void {
    try {
      const turns = JSON.parse(localStorage.getItem(`runnel.cache.${this.id}`) ?? '[]') as Kept[];
      this.exchanges.value = turns.map(({ generation, prompt, text, state, model }) => {
        const exchange = new Exchange(generation, prompt);
        Object.assign(exchange.answer, { generation, text, state, model });
        return exchange;
      });
    } catch {
      // What is kept is not what we keep: the transcript will tell.
    }
  }
}

interface Kept {
  generation: string;
  prompt: string;
  text: string;
  state: 'done' | 'failed' | 'cancelled';
  model: string;
}

function failureOf(error: unknown): { kind: string; message: string } {
  if (error instanceof RunnelError) return { kind: error.kind, message: error.message };
  return { kind: 'internal', message: String(error) };
}

function detailOf(event: Position['event']): string {
  switch (event.type) {
    case 'delta':
    case 'reasoning':
    case 'reset':
      return JSON.stringify(event.text);
    case 'generation.queued':
      return JSON.stringify(event.prompt);
    case 'generation.started':
      return `${event.model}, attempt ${event.attempt}`;
    case 'generation.failed':
      return `${event.kind}: ${event.message}`;
    case 'generation.done':
      return `${event.stop_reason}${event.usage ? `, ${event.usage.output_tokens} tokens` : ''}`;
    case 'tool':
      return `${event.tool.name ?? ''} ${event.tool.input ?? ''}`;
    case 'progress':
      return JSON.stringify(event.progress);
    default:
      return '';
  }
}
