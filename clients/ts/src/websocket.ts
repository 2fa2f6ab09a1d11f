import { RunnelError, unreachable, type Kind } from './errors.js';
import type { Position, Transport } from './stream.js';
import type { SessionEvent } from './types.js';

export interface WebSocketOptions {
  /** The stage of the gateway's WebSocket API: dev. */
  stage?: string;
  /** In place of the global one. */
  WebSocket?: typeof WebSocket;
}

/** The frames of the native route, as far as a follower gets them. */
type Frame =
  | { type: 'subscribed' }
  | { type: 'event'; cursor?: string; data: SessionEvent }
  | { type: 'error'; kind: Kind; message: string }
  | { type: 'end' };

/** How often a quiet connection is asked whether it still lives, in ms. */
const PING = 20_000;

/** webSocket follows sessions over the native route of the gateway's WebSocket API. */
export function webSocket(options: WebSocketOptions = {}): Transport {
  return async function* ({ base, session, after, token, opened, alive, signal }) {
    const url = new URL(`${base}/${options.stage ?? 'dev'}/`, globalThis.location?.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const shown = await token();
    if (shown) url.searchParams.set('token', shown); // a browser's WebSocket has no headers
    const socket = new (options.WebSocket ?? WebSocket)(url);
    const inbox = new Inbox();
    socket.onopen = () => socket.send(JSON.stringify({ action: 'runnel', type: 'subscribe', id: '1', session, after }));
    socket.onmessage = ({ data }) => inbox.put(JSON.parse(data as string) as Frame);
    socket.onclose = ({ code, reason }) => inbox.fail(closed(code, reason));
    const stop = () => inbox.fail(unreachable(signal.reason));
    signal.addEventListener('abort', stop);
    // A frame that is answered with an error shows that the connection lives.
    const ping = setInterval(() => {
      if (socket.readyState === socket.OPEN) socket.send(JSON.stringify({ action: 'runnel', type: 'unsubscribe', id: 'ping' }));
    }, PING);
    try {
      let held: Position[] = []; // of a reset that is not complete
      for (;;) {
        const frame = await inbox.take();
        alive();
        if (frame.type === 'subscribed') opened();
        if (frame.type === 'error' && !('id' in frame && frame.id === 'ping')) throw new RunnelError(frame.kind, frame.message);
        if (frame.type !== 'event') continue;
        const position: Position = { event: frame.data };
        held.push(position);
        if (!frame.cursor) continue;
        position.cursor = frame.cursor;
        yield held;
        held = [];
      }
    } finally {
      clearInterval(ping);
      signal.removeEventListener('abort', stop);
      socket.close(1000);
    }
  };
}

/** closed is the failure that a close code stands for. */
function closed(code: number, reason: string): RunnelError {
  if (code === 4401) return new RunnelError('unauthenticated', reason || 'the credentials are no longer good');
  if (code === 4403) return new RunnelError('denied', reason || 'this is not allowed');
  return unreachable(`closed with ${code}`);
}

/** An Inbox holds frames until they are taken. */
class Inbox {
  #frames: Frame[] = [];
  #error: RunnelError | undefined;
  #wake = () => {};

  put(frame: Frame): void {
    this.#frames.push(frame);
    this.#wake();
  }

  fail(error: RunnelError): void {
    this.#error ??= error;
    this.#wake();
  }

  async take(): Promise<Frame> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame) return frame;
      if (this.#error) throw this.#error;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
