// Handlers for Node's official runtime client, as they are written for Lambda.
import { setTimeout as sleep } from 'node:timers/promises';

export const handler = async (event) => {
  if (event.log) console.log(event.log);
  if (event.fail) throw new TypeError(event.fail);
  if (event.exit) process.exit(event.exit);
  return { echo: event.echo, pid: process.pid, name: process.env.AWS_LAMBDA_FUNCTION_NAME };
};

/** stream writes when it writes, so that a client can tell how long that took. */
export const stream = awslambda.streamifyResponse(async (event, out) => {
  const { chunks = 5, fail, hang, head = true } = JSON.parse(event.body ?? '{}');
  if (head) {
    const metadata = { statusCode: 201, headers: { 'Content-Type': 'text/plain', Connection: 'keep-alive', 'X-Own': 'yes' }, cookies: ['a=b', 'c=d'] };
    out = awslambda.HttpResponseStream.from(out, metadata);
  }
  for (let i = 0; i < chunks; i++) {
    out.write(`${Date.now()}\n`);
    await sleep(20);
  }
  if (fail) throw new Error('half way');
  if (hang) return; // without an end, which hangs until the deadline
  out.end();
});

/** agent is a model with a loop of its own. */
export const agent = awslambda.streamifyResponse(async (event, out) => {
  out.setContentType('application/x-ndjson');
  const say = (object) => out.write(`${JSON.stringify(object)}\n`);
  say({ type: 'progress', progress: { step: 'thinking', pid: process.pid } });
  for (const word of ['You ', 'said: ', event.prompt]) {
    say({ type: 'delta', text: word });
    await sleep(10);
  }
  while (event.prompt === 'never stop') {
    say({ type: 'delta', text: '.' });
    await sleep(10);
  }
  say({ type: 'done', stop_reason: 'end_turn', usage: { input_tokens: 3, output_tokens: 4 } });
  out.end();
});
