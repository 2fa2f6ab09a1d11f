import { EventSource } from 'eventsource';

import { Answer, TYPES } from './native.mjs';
import { defer, until } from './wait.mjs';

/** openPage opens a page that shows the session, for the test t. */
export function openPage(t, gateway, session, query = '') {
  const page = new Page(`${gateway.url}/v1/sessions/${encodeURIComponent(session)}/events${query}`);
  defer(t, () => page.source.close());
  return page;
}

/** A Page follows a session with an EventSource and nothing else, as a web page does. */
class Page {
  answers = new Map(); // by generation
  connections = []; // every request: the cursor it sent, and the status it got
  broken = null; // what went wrong in a listener

  constructor(url) {
    this.source = new EventSource(url, { fetch: (...request) => this.#fetch(...request) });
    for (const type of TYPES) {
      this.source.addEventListener(type, ({ data }) => {
        try {
          this.#apply(JSON.parse(data));
        } catch (error) {
          this.broken ??= error;
        }
      });
    }
  }

  async #fetch(url, init) {
    const connection = { cursor: init.headers['Last-Event-ID'] };
    this.connections.push(connection);
    const response = await fetch(url, init);
    connection.status = response.status;
    return response;
  }

  #apply(event) {
    if (event.type === 'reset' && event.generation === '') {
      this.answers.clear();
      return;
    }
    if (!this.answers.has(event.generation)) this.answers.set(event.generation, new Answer());
    this.answers.get(event.generation).apply(event);
  }

  get open() {
    return this.source.readyState === EventSource.OPEN;
  }

  /** shows waits until the answer meets the condition, and returns it. */
  shows(generation, what, condition) {
    return until(`the page shows ${what}`, () => {
      if (this.broken) throw this.broken;
      if (this.source.readyState === EventSource.CLOSED) throw new Error(`the EventSource gave up: ${JSON.stringify(this.connections)}`);
      const answer = this.answers.get(generation);
      return answer && condition(answer) ? answer : null;
    });
  }

  shown(generation) {
    return this.shows(generation, 'the end', (answer) => answer.end);
  }

  /** began waits until some of the answer is there, but not all. */
  began(generation, deltas = 5) {
    return this.shows(generation, `${deltas} deltas`, (answer) => answer.arrivals.length >= deltas);
  }
}
