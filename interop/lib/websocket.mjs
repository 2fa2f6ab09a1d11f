import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { WebSocket } from 'ws';

import { defer, until } from './wait.mjs';

export const url = (gateway, path) => gateway.url.replace('http', 'ws') + path;

/** openSocket opens a WebSocket of the package ws, for the test t. */
export async function openSocket(t, gateway, path) {
  const ws = new WebSocket(url(gateway, path));
  const socket = { ws, frames: [], closed: once(ws, 'close').then(([code, reason]) => ({ code, reason: String(reason) })) };
  ws.on('message', (data, binary) => socket.frames.push(binary ? data : String(data)));
  ws.on('error', () => {}); // closed tells
  defer(t, () => {
    ws.terminate();
    return socket.closed;
  });
  await once(ws, 'open');
  socket.send = (message) => ws.send(typeof message === 'string' ? message : JSON.stringify(message));
  socket.receive = async (n) => {
    await until(`${n} frames have come`, () => socket.frames.length >= n);
    return socket.frames.splice(0, n);
  };
  return socket;
}

/** connectionId returns a socket's id, which error frames tell. */
export async function connectionId(socket) {
  socket.send({ action: 'a route that is not there' });
  const [frame] = await socket.receive(1);
  return JSON.parse(frame).connectionId;
}

/** startHandler runs one of lib/wshandlers behind HTTP, for the test t, and returns its URL. */
export async function startHandler(t, name, env) {
  const folder = fileURLToPath(new URL('wshandlers/', import.meta.url));
  // Debian's, for which python3-boto3 is installed: another python3 may come first on PATH.
  const child = spawn('/usr/bin/python3', [`${folder}serve.py`, name], {
    cwd: folder,
    // Debian's boto3 is older than Bedrock: botocore describes the one call that the handlers make.
    env: { PYTHONDONTWRITEBYTECODE: '1', AWS_DATA_PATH: `${folder}botocore`, AWS_EC2_METADATA_DISABLED: 'true', AWS_DEFAULT_REGION: 'us-east-1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'close');
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (err += text));
  defer(t, () => {
    child.kill('SIGKILL');
    return exited;
  });
  const { value, done } = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
  if (done) throw new Error(`the handler ${name} has ended:\n${err}`);
  return `http://127.0.0.1:${value}`;
}
