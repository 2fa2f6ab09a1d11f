import { effect, signal } from '@preact/signals';

import { headers, signedOut } from '../gateway';
import { user } from '../identity';
import { Recent, type ModelRow, type Overview } from './overview';

const PAUSE = 1000;
const PATIENCE = 10_000;

export const overview = signal<Overview | undefined>(undefined);
export const models = signal<ModelRow[]>([]);
/** What is wrong, if something is. */
export const trouble = signal('');
/** What became of the last stop. */
export const said = signal('');

/** Set when the gateway knows who we are, and that this is not for us. Asking on would fill its audit log. */
export const denied = signal(false);

let refused = ''; // who was

const recent = new Recent();
let timer: ReturnType<typeof setTimeout> | undefined;

/** watch asks again and again while somebody looks. */
export function watch(): void {
  const again = () => {
    clearTimeout(timer);
    if (document.visibilityState === 'visible' && !signedOut.value && !(denied.value && user.value === refused)) void ask().finally(later);
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(again, PAUSE);
  };
  document.addEventListener('visibilitychange', again);
  effect(again); // also when somebody has signed in
}

async function call(path: string, method: string): Promise<unknown> {
  const response = await fetch(path, { method, headers: await headers(), cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) });
  const body = (await response.json().catch(() => undefined)) as { error?: { message?: string } } | undefined;
  if (response.ok) return body;
  if (response.status === 401) signedOut.value = true;
  if (response.status === 403) {
    denied.value = true;
    refused = user.value;
  } else denied.value = false;
  throw new Refusal(body?.error?.message ?? `the gateway answers ${response.status}`);
}

class Refusal extends Error {}

const words = (error: unknown) => (error instanceof Refusal ? error.message : 'The gateway cannot be reached. Trying again.');

async function ask(): Promise<void> {
  try {
    const now = (await call('/v1/admin/overview', 'GET')) as Overview;
    recent.add(now, performance.now());
    overview.value = now;
    models.value = recent.models();
    trouble.value = '';
  } catch (error) {
    trouble.value = words(error);
  }
}

/** signIn asks for other credentials. */
export function signIn(): void {
  signedOut.value = true;
}

/** stop stops a generation. */
export async function stop(generation: string): Promise<void> {
  try {
    await call(`/v1/admin/generations/${encodeURIComponent(generation)}/cancel`, 'POST');
    said.value = `${generation} will stop.`;
  } catch (error) {
    said.value = `${generation} could not be stopped: ${words(error)}`;
  }
}
