import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

import { defer } from './wait.mjs';

/** bundle makes one script of a page in lib/pages and what it imports. */
export async function bundle(name) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`pages/${name}`, import.meta.url))],
    bundle: true,
    write: false,
    jsx: 'automatic',
    format: 'iife',
    platform: 'browser',
    mainFields: ['browser', 'module', 'main'],
    define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis' },
    logLevel: 'error',
  });
  return outputFiles[0].text;
}

/** serve serves a page of somebody else's, with one script, for the test t; head returns what goes before it. */
export async function serve(t, script, head = async () => '') {
  const server = createServer(async (request, response) => {
    if (request.url === '/page.js') return response.writeHead(200, { 'content-type': 'text/javascript' }).end(script);
    return response
      .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
      .end(`<!doctype html><div id="root"></div>${await head()}<script src="/page.js"></script>`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  defer(t, () => server.close());
  defer(t, () => server.closeAllConnections());
  return `http://127.0.0.1:${server.address().port}`;
}
