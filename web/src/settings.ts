import { effect, signal, type Signal } from '@preact/signals';

export type Theme = 'auto' | 'light' | 'dark';
export type TransportName = 'sse' | 'websocket' | 'graphql';

/** stored is a signal that outlives the page. */
export function stored<T>(name: string, initial: T): Signal<T> {
  const key = `runnel.${name}`;
  let value = initial;
  try {
    const text = localStorage.getItem(key);
    if (text !== null) value = JSON.parse(text) as T;
  } catch {
    // Storage may be forbidden, and what it holds may be anybody's.
  }
  const s = signal(value);
  effect(() => {
    const text = JSON.stringify(s.value);
    try {
      if (text === undefined) localStorage.removeItem(key);
      else localStorage.setItem(key, text);
    } catch {
      // Full or forbidden: it lasts as long as the page.
    }
  });
  return s;
}

export const theme = stored<Theme>('theme', 'auto');
export const transport = stored<TransportName>('transport', 'sse');
export const token = stored<string>('token', '');
export const model = stored<string>('model', '');
export const drawer = stored<boolean>('drawer', false);

effect(() => {
  document.documentElement.dataset['theme'] = theme.value;
});
