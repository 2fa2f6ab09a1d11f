import { once } from 'node:events';
import { createServer } from 'node:http';

import { defer } from './wait.mjs';

/** startScripted starts a model server in OpenAI's form that says what the last question is the name of. */
export async function startScripted(t) {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const content = JSON.parse(body).messages.at(-1).content;
    const question = typeof content === 'string' ? content : content[0].text;
    if (question === 'refuse') {
      response.writeHead(429, { 'content-type': 'application/json' }).end('{"error":{"message":"slow down"}}');
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const delta of [
      { role: 'assistant', reasoning_content: 'hm' },
      { content: 'Größe 😀' },
      { tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'add', arguments: '{"a":' } }] },
      { tool_calls: [{ index: 0, function: { arguments: '1}' } }] },
    ]) {
      response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`);
      if (question === 'fail' && delta.content) {
        response.end(`data: ${JSON.stringify({ error: { message: 'slow down', type: 'rate_limit_error', code: 'rate_limit_exceeded' } })}\n\n`);
        return;
      }
    }
    response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] })}\n\n`);
    response.end(`data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 } })}\n\ndata: [DONE]\n\n`);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  defer(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${server.address().port}`;
}
