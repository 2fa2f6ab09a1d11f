import { once } from 'node:events';
import { createServer, request } from 'node:http';

import { EventStreamCodec } from '@smithy/eventstream-codec';

import { defer } from './wait.mjs';

const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString('utf8'),
  (text) => Buffer.from(text, 'utf8'),
);

/**
 * startChunks starts a proxy in front of the server at url, for the test t, and
 * returns its own URL. It mends what aimock 1.43 does to InvokeModelWithResponseStream:
 * there the model's JSON is the payload of a chunk, while in Amazon's API the payload
 * is an object whose member bytes has that JSON in base64. The frames are read and
 * written by Amazon's own codec; everything else passes through as it is. The proxy
 * can go when aimock wraps its chunks itself.
 */
export async function startChunks(t, url) {
  const server = createServer((req, res) => {
    const upstream = request(new URL(req.url, url), { method: req.method, headers: req.headers }, (answer) => {
      const { 'transfer-encoding': _, ...headers } = answer.headers;
      res.writeHead(answer.statusCode, headers);
      pass(answer, res).catch(() => res.destroy()); // cut off there, cut off here
    });
    upstream.on('error', () => res.destroy());
    res.on('close', () => upstream.destroy());
    req.pipe(upstream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  defer(t, async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${server.address().port}`;
}

async function pass(answer, res) {
  const framed = answer.headers['content-type'] === 'application/vnd.amazon.eventstream';
  let rest = Buffer.alloc(0);
  for await (const data of answer) {
    if (!framed) {
      res.write(data);
      continue;
    }
    rest = Buffer.concat([rest, data]);
    while (rest.length >= 4 && rest.length >= rest.readUInt32BE(0)) {
      const length = rest.readUInt32BE(0);
      res.write(wrap(rest.subarray(0, length)));
      rest = rest.subarray(length);
    }
  }
  res.end();
}

function wrap(frame) {
  const { headers, body } = codec.decode(frame);
  const chunk = { bytes: Buffer.from(body).toString('base64'), p: 'abcdefghij' }; // the padding that Amazon adds
  return codec.encode({ headers, body: Buffer.from(JSON.stringify(chunk)) });
}
