/** A frame of an event stream. */
export interface Frame {
  /** The last id that the stream has set; empty if none. */
  id: string;
  type: string;
  data: string;
}

/** The longest line and frame that are read, in characters: an answer of 4 MiB whose every byte is escaped. */
const MAX_FRAME = 32 << 20;

/**
 * readFrames reads server-sent events (WHATWG HTML, section 9.2). Comments are
 * yielded as null: a sign of life. A frame that the stream's end cuts off is not
 * yielded.
 */
export async function* readFrames(body: ReadableStream<Uint8Array>): AsyncGenerator<Frame | null, void, undefined> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  const lines = new Lines();
  let id = '';
  let type = '';
  let data: string[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const line of lines.add(decoder.decode(value, { stream: true }))) {
        if (line === '') {
          if (data.length > 0) yield { id, type: type || 'message', data: data.join('\n') };
          type = '';
          data = [];
          size = 0;
          continue;
        }
        const colon = line.indexOf(':');
        const field = colon < 0 ? line : line.slice(0, colon);
        let text = colon < 0 ? '' : line.slice(colon + 1);
        if (text.startsWith(' ')) text = text.slice(1);
        if (field === '') yield null;
        else if (field === 'id' && !text.includes('\0')) id = text;
        else if (field === 'event') type = text;
        else if (field === 'data') {
          data.push(text);
          if ((size += text.length) > MAX_FRAME) throw new Error('an event is longer than any answer');
        }
      }
    }
  } finally {
    // Whoever leaves in the middle lets go of the connection.
    await reader.cancel().catch(() => {});
  }
}

/** Lines cuts text into lines that end with CR LF, LF or CR, wherever the pieces are cut. */
class Lines {
  #rest = '';
  #skip = false; // an LF that belongs to the CR before it

  *add(text: string): Generator<string> {
    if (this.#skip && text.startsWith('\n')) text = text.slice(1);
    if (text !== '') this.#skip = false;
    let start = 0;
    for (let at = 0; at < text.length; at++) {
      const c = text.charCodeAt(at);
      if (c !== 10 && c !== 13) continue;
      const line = this.#rest + text.slice(start, at);
      this.#rest = '';
      if (c === 13) {
        if (at + 1 === text.length) this.#skip = true;
        else if (text.charCodeAt(at + 1) === 10) at++;
      }
      start = at + 1;
      yield line;
    }
    this.#rest += text.slice(start);
    if (this.#rest.length > MAX_FRAME) throw new Error('an event is longer than any answer');
  }
}
