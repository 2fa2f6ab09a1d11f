import { once } from 'node:events';
import { connect, createServer } from 'node:net';

import { defer } from './wait.mjs';

/**
 * startCut starts a proxy in front of the port of url, for the test t: one whose
 * cut ends all connections that are open, without a word.
 */
export async function startCut(t, url) {
  const open = new Set();
  const server = createServer((client) => {
    const upstream = connect(new URL(url).port, '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ]) {
      open.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  defer(t, async () => {
    server.close();
    cut();
    await once(server, 'close');
  });
  return { port: server.address().port, cut };
}
