import { computed } from '@preact/signals';

import { session } from './identity';
import { stored } from './settings';

export interface Entry {
  id: string;
  title: string;
  updated: number;
}

const MAX = 200;
/** Of Markdown, which a title is not. */
const MARKS = /^#+ |[*`]/gm;

// Each who signs in with this browser has a list: a title may be a secret.
const entries = stored<Entry[]>(session.peek() ? `conversations.${session.peek()!.user}` : 'conversations', []);

/** The conversations of this browser, the last used first. */
export const conversations = computed(() => entries.value.toSorted((a, b) => b.updated - a.updated));

/** touch notes that a conversation was used, and what it is about if that is not known yet. */
export function touch(id: string, about?: string): void {
  const old = entries.value.find((entry) => entry.id === id);
  const title = old?.title || about?.replace(MARKS, '').trim().replace(/\s+/g, ' ').slice(0, 80) || '';
  entries.value = [{ id, title, updated: Date.now() }, ...conversations.value.filter((entry) => entry.id !== id)].slice(0, MAX);
}

export const isKnown = (id: string): boolean => entries.value.some((entry) => entry.id === id);

export function forget(id: string): void {
  entries.value = entries.value.filter((entry) => entry.id !== id);
  try {
    localStorage.removeItem(`runnel.cache.${id}`);
  } catch {
    // There was nothing to forget.
  }
}

/** fresh returns the id of a conversation that nobody has begun. */
export function fresh(): string {
  return `chat-${crypto.randomUUID()}`;
}
