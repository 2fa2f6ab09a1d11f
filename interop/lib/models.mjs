import { LLMock } from '@copilotkit/aimock';

import { startChunks } from './chunks.mjs';
import { startGateway } from './gateway.mjs';
import { defer } from './wait.mjs';

const AWS = {
  AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_REGION: 'us-east-1',
  AWS_EC2_METADATA_DISABLED: 'true',
};
const CLAUDE = 'anthropic.claude-sonnet-4-20250514-v1:0';

/**
 * VENDORS are the APIs that aimock speaks and Runnel has a provider for. What
 * aimock leaves out of one is marked, with its own name for it.
 */
export const VENDORS = [
  {
    name: 'openai',
    model: (url) => `openai/gpt-5-mini?base_url=${url}/v1`,
    key: 'OPENAI_API_KEY',
  },
  {
    name: 'anthropic',
    model: (url) => `anthropic/claude-sonnet-4-20250514?base_url=${url}`,
    key: 'ANTHROPIC_API_KEY',
  },
  {
    name: 'ollama',
    model: (url) => `ollama/qwen3?base_url=${url}`,
    key: 'OLLAMA_API_KEY',
    lacks: ['stop reasons', 'usage', 'reasoning', 'tool ids'], // it says reasoning_content, Ollama itself thinking
  },
  {
    name: 'bedrock',
    model: () => `bedrock/${CLAUDE}`,
    env: (url) => ({ ...AWS, AWS_ENDPOINT_URL_BEDROCK_RUNTIME: url }),
  },
  {
    name: 'bedrock invoke',
    model: (url) => `bedrock/${CLAUDE}?api=invoke&endpoint=${url}`,
    env: () => AWS,
    front: startChunks,
    lacks: ['output tokens'], // its message_delta always says 0
  },
].map((vendor) => ({ env: () => ({}), ...vendor, has: (what) => !vendor.lacks?.includes(what) }));

/** startMock starts a model server of aimock's for the test t. */
export async function startMock(t, options = {}) {
  const mock = new LLMock({ host: '127.0.0.1', port: 0, chunkSize: 6, ...options });
  await mock.start();
  defer(t, () => mock.stop());
  return mock;
}

/** startWith starts aimock with these options and, in front of it, a gateway with these arguments. */
export async function startWith(t, vendor, { options, args }) {
  const mock = await startMock(t, options);
  const url = vendor.front ? await vendor.front(t, mock.url) : mock.url;
  const gateway = await startGateway(t, { model: vendor.model(url), env: vendor.env(url), args });
  return { mock, gateway };
}
