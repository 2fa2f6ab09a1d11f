export { Answer } from './answer.js';
export type { Notice } from './backoff.js';
export { Runnel, type Options, type SubmitOptions, type SubscribeOptions } from './client.js';
export { RunnelError, type Kind } from './errors.js';
export type { Position, Request, Transport } from './stream.js';
export * from './types.js';
export { webSocket, type WebSocketOptions } from './websocket.js';
