import type { Backoff } from './backoff.js';
import { RunnelError, unreachable, type Kind } from './errors.js';
import { readFrames, type Frame } from './sse.js';
import type { Cursor, SessionEvent } from './types.js';

/** How long a connection may show no life, in ms. Gateways send something every 15 seconds unless they are told otherwise. */
const QUIET = 60_000;
/** A connection that has lasted so long was a good one, if a quiet one. */
const GOOD = 10_000;

/** An event, and where the reader stands after it. */
export interface Position {
  event: SessionEvent;
  cursor?: Cursor;
}

/** What a connection is to be opened for. */
export interface Request {
  /** The gateway, such as http://127.0.0.1:8080; empty for the page's own. */
  base: string;
  session: string;
  after: Cursor;
  /** Returns the credentials that are good now; undefined if there are none. */
  token: () => Promise<string | undefined>;
  /** Call it when the gateway has accepted the connection. */
  opened: () => void;
  /** Call it at every sign of life. */
  alive: () => void;
  signal: AbortSignal;
}

/**
 * A Transport opens one connection and yields what comes over it, in pieces that
 * belong together: the last position of each has a cursor. It ends by throwing a
 * RunnelError, of kind unavailable if another connection may be tried.
 */
export type Transport = (request: Request) => AsyncGenerator<Position[], void, undefined>;

/** follow yields what a session says after a position, over as many connections as it takes. */
export async function* follow(
  connect: (after: Cursor, opened: () => void, signal?: AbortSignal) => AsyncGenerator<Position[], void, undefined>,
  after: Cursor,
  backoff: Backoff,
  renewable: boolean,
  signal?: AbortSignal,
): AsyncGenerator<Position, void, undefined> {
  let accepted = false; // since the credentials were asked for anew
  const opened = () => {
    accepted = true;
    backoff.recovered();
  };
  for (;;) {
    const began = Date.now();
    try {
      for await (const events of connect(after, opened, signal)) {
        // All but the last have no cursor: a break between them would make the
        // next connection repeat them, so they count as given together.
        yield* events;
        after = events.at(-1)?.cursor ?? after;
        backoff.tries = 0;
      }
      throw unreachable('the stream has ended');
    } catch (error) {
      if (signal?.aborted) return;
      if (!(error instanceof RunnelError)) throw error;
      if (error.kind === 'unauthenticated' && renewable && accepted) {
        accepted = false; // they were good, and have ended
        continue;
      }
      if (!error.temporary) throw error;
      if (Date.now() - began > GOOD) backoff.tries = 0;
      try {
        await backoff.wait(error, signal);
      } catch {
        return; // the signal
      }
    }
  }
}

/** watched runs a transport until it shows no life any more: a connection can die without a word. */
export async function* watched(
  transport: Transport,
  request: Omit<Request, 'alive' | 'signal'>,
  signal?: AbortSignal,
): AsyncGenerator<Position[], void, undefined> {
  const dead = new AbortController();
  let watch = setTimeout(() => dead.abort(), QUIET);
  const alive = () => {
    clearTimeout(watch);
    watch = setTimeout(() => dead.abort(), QUIET);
  };
  try {
    yield* transport({ ...request, alive, signal: signal ? AbortSignal.any([signal, dead.signal]) : dead.signal });
  } finally {
    clearTimeout(watch);
    dead.abort();
  }
}

/** eventStream reads a session over server-sent events. */
export function eventStream(open: (after: Cursor, signal: AbortSignal) => Promise<Response>): Transport {
  return async function* ({ after, opened, alive, signal }) {
    const response = await open(after, signal);
    if (!response.body) throw unreachable('the answer has no body');
    opened();
    let held: Position[] = []; // of a reset that is not complete
    let last = after;
    const frames = readFrames(response.body);
    for (;;) {
      const frame = await next(frames);
      alive();
      if (frame === null) continue;
      if (frame.type === 'error') throw streamError(frame.data);
      const position: Position = { event: JSON.parse(frame.data) as SessionEvent };
      held.push(position);
      if (frame.id === '' || frame.id === last) continue; // carried over from an event before
      position.cursor = last = frame.id;
      yield held;
      held = [];
    }
  };
}

/** next returns the next frame. That there is none any more is a failure of the connection. */
async function next(frames: AsyncGenerator<Frame | null, void, undefined>): Promise<Frame | null> {
  const { done, value } = await frames.next().catch((cause: unknown) => Promise.reject(unreachable(cause)));
  if (done) throw unreachable('the stream has ended');
  return value ?? null;
}

/** streamError reads the frame with which a gateway ends a stream early. */
function streamError(data: string): RunnelError {
  const { kind, message } = JSON.parse(data) as { kind: Kind; message: string };
  return new RunnelError(kind, message);
}
