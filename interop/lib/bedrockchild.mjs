// A process that has all the checks of Bedrock's client made at an address, with what the environment gives it.
import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';

import { check } from './bedrock.mjs';

const client = new BedrockRuntimeClient({ endpoint: process.argv[2], region: 'us-east-1', maxAttempts: 1 });
await check(client);
client.destroy();
