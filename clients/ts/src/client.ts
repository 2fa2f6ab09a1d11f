import { Answer } from './answer.js';
import { Backoff, type Notice } from './backoff.js';
import { errorOf, RunnelError, unreachable } from './errors.js';
import { eventStream, follow, watched, type Position, type Transport } from './stream.js';
import { isTerminal, type Cursor, type Generation, type Prompt, type Receipt, type SessionEvent, type Transcript } from './types.js';

const CALL_TIMEOUT = 30_000; // ms, of one request that is not a stream
const MAX_CALLS = 4; // tries of such a request

export interface Options {
  /**
   * An API key or token, shown as Authorization: Bearer; or what returns the one
   * that is good now. It is asked again when a stream ends with its credentials.
   */
  token?: string | (() => string | Promise<string>);
  /** Further headers of every request. */
  headers?: Record<string, string>;
  /** How sessions are followed: over server-sent events unless it says otherwise. */
  transport?: Transport;
  /** In place of the global one. */
  fetch?: typeof fetch;
  /** Whether browsers show cookies: same-origin by default, as fetch has it. */
  credentials?: RequestCredentials;
  /** Told when the gateway cannot be reached, and when it works again. */
  notify?: (notice: Notice) => void;
}

export interface SubmitOptions {
  signal?: AbortSignal;
  /** Makes this submission and any other with the same key, for a day, one and the same. */
  idempotencyKey?: string;
}

export interface SubscribeOptions {
  signal?: AbortSignal;
  /** Begin after this position; at the first event that is kept if there is none. 'latest' is the end. */
  after?: Cursor;
}

/** A Runnel talks to one gateway. */
export class Runnel {
  readonly #base: string;
  readonly #options: Options;

  /** The base URL is like http://127.0.0.1:8080; in a browser the empty one is the page's own. */
  constructor(baseURL = '', options: Options = {}) {
    this.#base = baseURL.replace(/\/+$/, '');
    this.#options = options;
  }

  /** submit hands a prompt in. It is repeated under one key until the gateway has acknowledged it. */
  async submit(session: string, prompt: Prompt | string, options: SubmitOptions = {}): Promise<Receipt> {
    const body = JSON.stringify(typeof prompt === 'string' ? { prompt } : prompt);
    const headers = { 'content-type': 'application/json', 'idempotency-key': options.idempotencyKey ?? crypto.randomUUID() };
    return (await this.#call(`sessions/${segment(session)}/prompts`, { method: 'POST', headers, body }, options.signal)) as Receipt;
  }

  /**
   * subscribe yields the events of a session, in order and each exactly once, and
   * waits for more until the signal or the caller ends it. It reconnects by itself;
   * only an error that trying again would not mend is thrown.
   */
  async *subscribe(session: string, options: SubscribeOptions = {}): AsyncGenerator<SessionEvent, void, undefined> {
    for await (const { event } of this.positions(session, options)) yield event;
  }

  /** positions is subscribe, with the cursor of each event: undefined within a reset that is not complete. */
  positions(session: string, options: SubscribeOptions = {}): AsyncGenerator<Position, void, undefined> {
    const transport = this.#options.transport ?? eventStream((after, signal) => this.#open(session, after, signal));
    const connect = (after: Cursor, opened: () => void, signal?: AbortSignal) =>
      watched(transport, { base: this.#base, session, after, token: () => this.#token(), opened }, signal);
    return follow(connect, options.after ?? '0', this.#backoff(), typeof this.#options.token === 'function', options.signal);
  }

  /** stream asks and yields the events of the answer, from its first to its terminal one. */
  async *stream(session: string, prompt: Prompt | string, options: SubmitOptions = {}): AsyncGenerator<SessionEvent, void, undefined> {
    yield* this.follow(await this.submit(session, prompt, options), options);
  }

  /** follow yields the events of one generation, from its first to its terminal one. */
  async *follow(receipt: Receipt, options: { signal?: AbortSignal } = {}): AsyncGenerator<SessionEvent, void, undefined> {
    for await (const event of this.subscribe(receipt.session, { ...options, after: receipt.cursor })) {
      // The gateway has another log than the one we read. If it does not know the
      // generation either, no event of it will come.
      if (event.type === 'reset' && event.generation === '') await this.generation(receipt.generation, options);
      if (event.generation !== receipt.generation) continue;
      yield event;
      if (isTerminal(event)) return;
    }
  }

  /** ask returns the whole answer. One that has failed or was stopped is an answer, too: look at its state. */
  async ask(session: string, prompt: Prompt | string, options: SubmitOptions = {}): Promise<Answer> {
    const answer = new Answer();
    for await (const event of this.stream(session, prompt, options)) answer.apply(event);
    return answer;
  }

  /** cancel stops a generation, durably. Stopping one that has ended changes nothing. */
  async cancel(generation: string, options: { signal?: AbortSignal } = {}): Promise<Generation> {
    return (await this.#call(`generations/${segment(generation)}/cancel`, { method: 'POST' }, options.signal)) as Generation;
  }

  /** generation returns how a generation stands. */
  async generation(generation: string, options: { signal?: AbortSignal } = {}): Promise<Generation> {
    return (await this.#call(`generations/${segment(generation)}`, {}, options.signal)) as Generation;
  }

  /** transcript returns what a session has said so far. */
  async transcript(session: string, options: { signal?: AbortSignal } = {}): Promise<Transcript> {
    return (await this.#call(`sessions/${segment(session)}`, {}, options.signal)) as Transcript;
  }

  #open(session: string, after: Cursor, signal: AbortSignal): Promise<Response> {
    return this.#fetch(`sessions/${segment(session)}/events?after=${encodeURIComponent(after)}`, { headers: { accept: 'text/event-stream' } }, signal);
  }

  async #token(): Promise<string | undefined> {
    const { token } = this.#options;
    return typeof token === 'function' ? await token() : token;
  }

  #backoff(): Backoff {
    return new Backoff(this.#options.notify ?? (() => {}));
  }

  /** #call makes a request, again if need be, and returns what it is answered. */
  async #call(path: string, init: RequestInit, signal?: AbortSignal): Promise<unknown> {
    const backoff = this.#backoff();
    for (;;) {
      try {
        const limit = AbortSignal.timeout(CALL_TIMEOUT);
        const response = await this.#fetch(path, init, signal ? AbortSignal.any([signal, limit]) : limit);
        const reply: unknown = await response.json().catch((cause: unknown) => Promise.reject(unreachable(cause)));
        backoff.recovered();
        return reply;
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        if (!(error instanceof RunnelError) || !error.temporary || backoff.tries === MAX_CALLS - 1) throw error;
        await backoff.wait(error, signal);
      }
    }
  }

  /** #fetch makes one request and returns the response if it is a success. */
  async #fetch(path: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
    const { headers, credentials, fetch = globalThis.fetch } = this.#options;
    const shown: Record<string, string> = { ...headers, ...(init.headers as Record<string, string>) };
    const token = await this.#token();
    if (token) shown['authorization'] = `Bearer ${token}`;
    const request: RequestInit = { ...init, headers: shown, signal };
    if (credentials) request.credentials = credentials;
    const response = await fetch(`${this.#base}/v1/${path}`, request).catch((cause: unknown) => Promise.reject(unreachable(cause)));
    if (!response.ok) throw await errorOf(response);
    return response;
  }
}

/** segment makes one segment of a path. URLs take a . or .. for a step through the tree, however it is written. */
function segment(id: string): string {
  if (id === '.' || id === '..') throw new RunnelError('invalid', `a URL cannot name ${JSON.stringify(id)}`);
  return encodeURIComponent(id);
}
