import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { defer } from './wait.mjs';

// Debian's, for which python3-boto3 is installed: another python3 may come first on PATH.
const PYTHON = '/usr/bin/python3';

/**
 * startBoto starts boto3 in a process of its own, for the test t, and returns a function that has it do something. The
 * program is one of this folder.
 */
export function startBoto(t, program = 'boto.py') {
  const child = spawn(PYTHON, ['-I', fileURLToPath(new URL(program, import.meta.url))], { env: {}, stdio: ['pipe', 'pipe', 'pipe'] });
  const exited = once(child, 'close');
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (err += text));
  child.stdin.on('error', () => {}); // that it has ended shows below
  defer(t, () => {
    child.kill('SIGKILL');
    return exited;
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return async (request) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error(`boto3 is what apt-get install python3-boto3 installs; it ended:\n${err}`);
    return JSON.parse(value);
  };
}
