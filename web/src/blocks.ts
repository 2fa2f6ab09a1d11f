/** How long a list may grow, in characters, before it is cut between two of its items. */
const LONG_LIST = 4000;

/**
 * Blocks cuts a growing Markdown text into blocks that are finished and a tail
 * that may still change, so that only the tail is rendered again. A block ends at
 * a blank line that is within no fence and no list.
 */
export class Blocks {
  /** Finished blocks, which never change. */
  done: string[] = [];
  /** What follows them. */
  tail = '';

  #text = '';
  #at = 0; // where the tail begins
  #seen = 0; // up to where lines have been looked at
  #fence = ''; // that is open in the tail
  #list = false; // the tail begins with a list
  #blank = false; // the last line was blank

  /** set takes the text as it is now; true if it is not the one before with more at its end. */
  set(text: string): boolean {
    const other = !text.startsWith(this.#text);
    if (other) {
      this.done = [];
      this.#at = this.#seen = 0;
      this.#fence = '';
      this.#list = this.#blank = false;
    }
    this.#text = text;
    this.#scan();
    this.tail = text.slice(this.#at);
    return other;
  }

  #scan(): void {
    for (;;) {
      const end = this.#text.indexOf('\n', this.#seen);
      if (end < 0) return;
      this.#line(this.#text.slice(this.#seen, end), this.#seen);
      this.#seen = end + 1;
    }
  }

  #line(line: string, from: number): void {
    const fence = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1] ?? '';
    if (this.#fence) {
      if (fence.startsWith(this.#fence) && line.trim() === fence) this.#fence = '';
      this.#blank = false;
      return;
    }
    if (line.trim() === '') {
      this.#blank = true;
      return;
    }
    const item = /^ {0,3}([-*+]|\d{1,9}[.)])\s/.test(line);
    if (this.#list && item && !line.startsWith(' ') && from - this.#at > LONG_LIST) this.#cut(from);
    const goesOn = this.#list && (item || /^\s/.test(line));
    if (this.#blank && from > this.#at && !goesOn) this.#cut(from);
    if (from === this.#at || this.#text.slice(this.#at, from).trim() === '') this.#list = item;
    this.#fence = fence;
    this.#blank = false;
  }

  #cut(at: number): void {
    const block = this.#text.slice(this.#at, at);
    if (block.trim() !== '') this.done.push(block);
    this.#at = at;
    this.#list = false;
  }
}
