import { RunnelError } from './errors.js';

const FIRST_WAIT = 250; // ms, doubled at each try
const LONG_WAIT = 10_000;

/** Tells how the connection is. */
export interface Notice {
  /** Why the gateway does not answer; undefined when it works again. */
  error?: RunnelError;
  /** How long until the next try, in milliseconds. */
  wait: number;
}

/**
 * A Backoff spaces out the tries of one call or stream: for as long as the gateway
 * asks, or longer at every try, with jitter, so that the clients of a gateway that
 * restarts do not all come back at once. It tries at once when the network or the
 * page comes back.
 */
export class Backoff {
  tries = 0; // failed ones in a row
  #down = false; // a failure was told, and not yet its end

  constructor(readonly notify: (notice: Notice) => void) {}

  async wait(error: RunnelError, signal: AbortSignal | undefined): Promise<void> {
    const longest = Math.min(FIRST_WAIT * 2 ** Math.min(this.tries, 10), LONG_WAIT);
    const wait = Math.max(longest / 2 + Math.random() * (longest / 2), error.retryAfter);
    this.tries++;
    this.#down = true;
    this.notify({ error, wait });
    await awake(wait, signal);
  }

  recovered(): void {
    if (!this.#down) return;
    this.#down = false;
    this.notify({ wait: 0 });
  }
}

/** awake waits for a while, or until the network or the page is back. It rejects if the signal does. */
function awake(wait: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const page = typeof document === 'undefined' ? undefined : document;
    const host = typeof globalThis.addEventListener === 'function' ? globalThis : undefined;
    const shown = () => page?.visibilityState === 'visible' && end();
    const aborted = () => end(true);
    const end = (failed = false) => {
      clearTimeout(timer);
      host?.removeEventListener('online', online);
      page?.removeEventListener('visibilitychange', shown);
      signal?.removeEventListener('abort', aborted);
      if (failed) reject(signal?.reason);
      else resolve();
    };
    const online = () => end();
    const timer = setTimeout(end, wait);
    host?.addEventListener('online', online);
    page?.addEventListener('visibilitychange', shown);
    signal?.addEventListener('abort', aborted);
    if (signal?.aborted) aborted();
  });
}
