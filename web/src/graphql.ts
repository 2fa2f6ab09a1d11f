import { RunnelError, type Position, type SessionEvent, type Transport } from '@runnelhq/client';

/**
 * graphQL follows sessions as an AppSync client does: the subscription to a
 * session's events over AppSync's real-time protocol.
 */
export function graphQL(): Transport {
  return async function* ({ session, after, token, opened, alive, signal }) {
    const shown = await token();
    const header = { host: location.host, ...(shown ? { Authorization: shown } : { 'x-api-key': 'none' }) };
    const url = new URL('/graphql/realtime', location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const coded = btoa(JSON.stringify(header)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
    const socket = new WebSocket(url, ['graphql-ws', `header-${coded}`]);
    const frames: Frame[] = [];
    let failure: RunnelError | undefined;
    let wake = () => {};
    const fail = (error: RunnelError) => {
      failure ??= error;
      wake();
    };
    socket.onopen = () => socket.send('{"type":"connection_init"}');
    socket.onmessage = ({ data }) => {
      frames.push(JSON.parse(data as string) as Frame);
      wake();
    };
    socket.onclose = ({ code }) => fail(new RunnelError('unavailable', `closed with ${code}`));
    const stop = () => fail(new RunnelError('unavailable', 'stopped'));
    signal.addEventListener('abort', stop);
    try {
      let held: Position[] = [];
      for (;;) {
        const frame = frames.shift();
        if (!frame) {
          if (failure) throw failure;
          await new Promise<void>((resolve) => (wake = resolve));
          continue;
        }
        alive();
        switch (frame.type) {
          case 'connection_ack':
            socket.send(
              JSON.stringify({
                id: '1',
                type: 'start',
                payload: { data: JSON.stringify({ query: EVENTS, variables: { session, after } }), extensions: { authorization: header } },
              }),
            );
            break;
          case 'start_ack':
            opened();
            break;
          case 'error':
          case 'connection_error':
            throw refused(frame.payload);
          case 'data': {
            const found = frame.payload.data?.sessionEvents;
            if (!found) throw refused(frame.payload);
            const { cursor, body } = found;
            const position: Position = { event: JSON.parse(body) as SessionEvent };
            held.push(position);
            if (cursor === null) break;
            position.cursor = cursor;
            yield held;
            held = [];
          }
        }
      }
    } finally {
      signal.removeEventListener('abort', stop);
      socket.close(1000);
    }
  };
}

const EVENTS = `subscription Events($session: ID!, $after: String) {
  sessionEvents(session: $session, after: $after) { cursor body }
}`;

interface Errors {
  errors?: { errorType?: string; message: string }[];
}

type Frame =
  | { type: 'connection_ack' | 'start_ack' | 'ka' | 'complete' }
  | { type: 'error' | 'connection_error'; payload: Errors }
  | { type: 'data'; payload: Errors & { data?: { sessionEvents?: { cursor: string | null; body: string } | null } | null } };

function refused({ errors }: Errors): RunnelError {
  const { errorType = '', message } = errors?.[0] ?? { message: 'refused' };
  return new RunnelError(/Unauthorized/.test(errorType) ? 'unauthenticated' : 'invalid', message);
}
