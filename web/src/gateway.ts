import { Runnel, RunnelError, webSocket, type Notice, type Transport } from '@runnelhq/client';
import { signal } from '@preact/signals';

import { graphQL } from './graphql';
import { credentials } from './identity';
import { transport, type TransportName } from './settings';

/** Set when the gateway asks who we are. */
export const signedOut = signal(false);
export const models = signal<string[]>([]);

const transports: Record<TransportName, Transport | undefined> = {
  sse: undefined, // the client's own
  websocket: webSocket(),
  graphql: graphQL(),
};

/** open returns a client that tells of its connection. */
export function open(notify: (notice: Notice) => void = () => {}): Runnel {
  const chosen = transports[transport.value];
  return new Runnel('', { token: credentials, notify, ...(chosen ? { transport: chosen } : {}) });
}

/** loadModels asks what may be asked. */
export async function loadModels(): Promise<void> {
  try {
    const response = await fetch('/v1/models', { headers: await headers() });
    signedOut.value = response.status === 401;
    if (!response.ok) return;
    const { data } = (await response.json()) as { data: { id: string }[] };
    models.value = data.map(({ id }) => id);
  } catch (error) {
    // Without a gateway there is nothing to choose from.
    if (error instanceof RunnelError && error.kind === 'unauthenticated') signedOut.value = true;
  }
}

/** headers returns those that show who somebody is. */
export async function headers(): Promise<Record<string, string>> {
  const shown = await credentials();
  return shown ? { authorization: `Bearer ${shown}` } : {};
}
