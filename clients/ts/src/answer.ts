import type { Failure, SessionEvent, State, ToolDelta, Usage } from './types.js';

/** What one generation has said so far, put together from its events. */
export class Answer {
  generation = '';
  model = '';
  attempt = 0;
  state: State = 'queued';
  text = '';
  reasoning = '';
  tools: ToolDelta[] = [];
  stopReason = '';
  usage?: Usage;
  failure?: Failure;

  get ended(): boolean {
    return this.state === 'done' || this.state === 'failed' || this.state === 'cancelled';
  }

  /**
   * apply adds an event of the generation. When another worker takes over, what the
   * earlier attempt may still say is ignored; what it said stands until the reset that
   * follows. After a terminal event nothing changes any more. A reset overrules all of that.
   */
  apply(event: SessionEvent): void {
    this.generation = event.generation;
    if (event.type === 'reset') {
      this.attempt = event.attempt;
      this.state = 'running';
      this.stopReason = '';
      delete this.usage;
      delete this.failure;
      this.#replace(event.text, event.reasoning);
      return;
    }
    if (event.attempt < this.attempt || this.ended) return;
    this.attempt = event.attempt;
    switch (event.type) {
      case 'generation.queued':
        this.state = 'queued';
        break;
      case 'generation.started':
        this.state = 'running';
        this.model = event.model;
        break;
      case 'delta':
        this.text += event.text;
        break;
      case 'reasoning':
        this.reasoning += event.text;
        break;
      case 'tool':
        this.#addTool(event.tool);
        break;
      case 'generation.done':
        this.state = 'done';
        this.stopReason = event.stop_reason;
        if (event.usage) this.usage = event.usage;
        break;
      case 'generation.failed':
        this.state = 'failed';
        this.failure = { kind: event.kind, message: event.message };
        if (event.usage) this.usage = event.usage;
        break;
      case 'generation.cancelled':
        this.state = 'cancelled';
        if (event.usage) this.usage = event.usage;
        break;
      case 'progress': // of the moment
    }
  }

  #replace(text: string, reasoning = ''): void {
    this.text = text;
    this.reasoning = reasoning;
    this.tools = [];
  }

  #addTool(delta: ToolDelta): void {
    const call = this.tools.find(({ index }) => index === delta.index);
    if (!call) {
      this.tools.push({ ...delta });
      return;
    }
    call.input = (call.input ?? '') + (delta.input ?? '');
    if (delta.id) call.id = delta.id;
    if (delta.name) call.name = delta.name;
  }
}
