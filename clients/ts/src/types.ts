/** A position in a session's log: opaque, and good on every door. */
export type Cursor = string;

/** What a model run cost, in tokens, as its vendor reported it. */
export interface Usage {
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens?: number;
  cache_write_tokens?: number;
  reasoning_tokens?: number;
}

/** A fragment of a tool call. The first of a call has its id and name; the inputs, joined, are a JSON object. */
export interface ToolDelta {
  index: number;
  id?: string;
  name?: string;
  input?: string;
}

interface EventBase {
  v: 1;
  /** Empty in one case only: a reset of the whole session. */
  generation: string;
  attempt: number;
  /** What a publisher said with the event, if the answer comes from outside. */
  data?: unknown;
}

/** An event of a session's log, as docs/events.md has it. */
export type SessionEvent = EventBase &
  (
    | { type: 'generation.queued'; prompt: string }
    | { type: 'generation.started'; model: string }
    | { type: 'delta'; text: string }
    | { type: 'reasoning'; text: string; signature?: string; redacted?: string }
    | { type: 'tool'; tool: ToolDelta }
    | { type: 'progress'; progress: unknown }
    | { type: 'reset'; text: string; reasoning?: string }
    | { type: 'generation.done'; stop_reason: string; usage?: Usage }
    | { type: 'generation.failed'; kind: string; message: string; usage?: Usage }
    | { type: 'generation.cancelled'; usage?: Usage }
  );

/** Whether an event ends its generation. Exactly one does. */
export function isTerminal(event: SessionEvent): boolean {
  return event.type === 'generation.done' || event.type === 'generation.failed' || event.type === 'generation.cancelled';
}

/** What is to be asked. Everything but the text is optional. */
export interface Prompt {
  prompt: string;
  model?: string;
  system?: string;
  max_tokens?: number;
  temperature?: number;
  metadata?: Record<string, string>;
}

/** Says that a prompt was accepted: it is durable, and will be answered. */
export interface Receipt {
  session: string;
  generation: string;
  /** Lies before the generation's first event. */
  cursor: Cursor;
  /** True if an earlier submission with the same key did it. */
  repeated?: boolean;
}

export type State = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

export interface Failure {
  kind: string;
  message: string;
}

/** One model run for one prompt, as it stands. */
export interface Generation {
  generation: string;
  session: string;
  state: State;
  attempt: number;
  model?: string;
  accepted_at?: string;
  started_at?: string;
  ended_at?: string;
  stop_reason?: string;
  usage?: Usage;
  failure?: Failure;
  /** True from a stop request until the terminal event. */
  cancelling?: boolean;
  /** Lies just before the generation's first event. */
  cursor?: Cursor;
}

export interface Part {
  text?: string;
  image?: { media_type?: string; data?: string; url?: string };
  tool_call?: { id: string; name: string; input: unknown };
  tool_result?: { id: string; content: string; failed?: boolean };
}

export interface Message {
  role: 'user' | 'assistant';
  parts: Part[];
}

/** What is known of one attempt to run a generation. */
export interface Attempt {
  attempt: number;
  model?: string;
  started_at?: string;
  /** It went on with what the attempts before it had said. */
  continued?: boolean;
  usage?: Usage;
}

/** How a generation ended: what was asked, what was answered, at what cost. */
export interface Turn {
  generation: string;
  state: State;
  attempt: number;
  model?: string;
  prompt: Message[];
  text: string;
  reasoning?: string;
  tools?: { id: string; name: string; input: unknown }[];
  stop_reason?: string;
  /** Of all attempts, as far as it is known. */
  usage?: Usage;
  failure?: Failure;
  /** All of them, if there was more than one. */
  attempts?: Attempt[];
  accepted_at: string;
  started_at?: string;
  first_token_at?: string;
  ended_at: string;
}

/** What a session has said so far. */
export interface Transcript {
  session: string;
  turns: Turn[];
  active: Generation[];
  /** The log's end: reading after it misses nothing that the turns do not hold. */
  cursor: Cursor;
}
