import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { defer, until } from './wait.mjs';

const BINARY = fileURLToPath(new URL('../../bin/runnel', import.meta.url));

/**
 * startGateway starts bin/runnel for the test t and returns it when it is ready.
 * The config is what its file says, as an object.
 */
export async function startGateway(t, { model, args = [], env = {}, config, port }) {
  const dir = await mkdtemp(join(tmpdir(), 'runnel-interop-'));
  defer(t, () => rm(dir, { recursive: true, force: true }));
  const gateway = new Gateway(dir, port ?? await freePort(), ['--model', model, ...args], env);
  if (config) await gateway.configure(config);
  defer(t, async () => {
    await gateway.kill();
    if (!t.passed) t.diagnostic(`the gateway's log:\n${gateway.log}`);
  });
  await gateway.start();
  return gateway;
}

/** A Gateway is the real binary in its own process. Its port and its data survive a kill. */
class Gateway {
  #child = null;
  #file;
  #args;
  #env;

  constructor(dir, port, args, env) {
    this.url = `http://127.0.0.1:${port}`;
    this.data = join(dir, 'data');
    this.log = '';
    this.#file = join(dir, 'runnel.yaml');
    this.#args = ['serve', '--listen', `127.0.0.1:${port}`, '--data-dir', this.data, ...args];
    // Nothing of the developer's own settings and credentials gets in.
    this.#env = { PATH: process.env.PATH, HOME: dir, ...env };
  }

  /** configure writes the configuration file. A gateway that runs reads it at once, and says what comes of it. */
  async configure(config, outcome = 'configuration reloaded') {
    await writeFile(this.#file, JSON.stringify(config)); // which is YAML, too
    if (!this.#child) {
      this.#args.push('--config', this.#file);
      return;
    }
    const said = this.log.length;
    this.#child.process.kill('SIGHUP');
    await until(`the log says: ${outcome}`, () => this.log.includes(outcome, said));
  }

  async start() {
    const child = spawn(BINARY, this.#args, { env: this.#env, stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.setEncoding('utf8').on('data', (text) => (this.log += text));
    this.#child = { process: child, exited: once(child, 'exit') };
    await Promise.race([once(child, 'spawn'), this.#child.exited]); // a missing binary throws here
    await until('the gateway is ready', async () => {
      if (child.exitCode !== null) throw new Error(`the gateway exited with ${child.exitCode}:\n${this.log}`);
      return (await this.readiness())?.ready;
    });
  }

  /** readiness returns what /readyz says, or nothing if nobody answers. */
  async readiness() {
    try {
      const response = await fetch(`${this.url}/readyz`);
      return await response.json();
    } catch {
      return null;
    }
  }

  /** kill ends the process without any warning. */
  async kill() {
    await this.#end('SIGKILL');
  }

  /** terminate asks the process to stop and returns its exit code when it has. */
  terminate() {
    return this.#end('SIGTERM');
  }

  async #end(signal) {
    const child = this.#child;
    if (!child) return null;
    this.#child = null;
    child.process.kill(signal);
    const [code] = await child.exited;
    return code;
  }
}

/** newKey makes an API key as an operator does, and what the configuration says of it. */
export async function newKey(name) {
  const { stdout, stderr } = await promisify(execFile)(BINARY, ['key', 'new', '--name', name]);
  return { key: stdout.trim(), entry: { name, hash: stderr.match(/sha256:[0-9a-f]{64}/)[0] } };
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
