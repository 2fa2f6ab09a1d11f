import { RunnelError } from '@runnelhq/client';
import { computed, signal } from '@preact/signals';

import { token } from './settings';

/** With whom people sign in, as the gateway tells it. */
export type Provider = {
  issuer: string;
  authorization_endpoint: string;
  token_endpoint: string;
  end_session_endpoint?: string;
  id_token_signing_alg_values_supported?: string[];
  client_id: string;
  scope: string;
  resource?: string;
  audience?: string;
  /** Which token the gateway wants to see. */
  token: 'id' | 'access';
};

/** Somebody who has signed in, for as long as the tab is open. */
export interface Session {
  provider: Provider;
  token: string;
  /** From when on to ask for a new token, and when this one ends, in ms since 1970. */
  renew: number;
  ends: number;
  refresh?: string;
  idToken: string;
  user: string;
  name: string;
}

const SESSION = 'runnel.session';
const RETURN = 'runnel.return';

// A tab's own storage: a reload in the middle of an answer must not ask anybody to
// sign in again, but what a tab has is gone when it is closed. Keys, which somebody
// has typed in, are kept in the browser's (see settings.ts).
export const session = signal(recall());

/** Who uses this page: it changes when somebody else does, and not when a token is renewed. */
export const user = computed(() => session.value?.user ?? token.value);

function recall(): Session | undefined {
  try {
    return (JSON.parse(sessionStorage.getItem(SESSION) ?? 'null') as Session | null) ?? undefined;
  } catch {
    return undefined; // forbidden, or not ours
  }
}

/** keep makes a session the page's own. */
export function keep(next: Session): Session {
  session.value = next;
  try {
    sessionStorage.setItem(SESSION, JSON.stringify(next));
  } catch {
    // Full or forbidden: it lasts as long as the page.
  }
  return next;
}

/** showKey makes a key, or a token from elsewhere, what the gateway is shown. */
export function showKey(key: string): void {
  sessionStorage.removeItem(SESSION);
  session.value = undefined;
  token.value = key;
}

/** credentials returns what the gateway is to be shown now; nothing if there is nothing. */
export async function credentials(): Promise<string> {
  const { value } = session;
  if (!value) return token.value;
  const now = Date.now();
  if (now < value.renew || (!value.refresh && now < value.ends)) return value.token;
  if (!value.refresh) throw new RunnelError('unauthenticated', 'the sign-in has ended');
  try {
    return (await renewal(value)).token;
  } catch (error) {
    const away = error instanceof RunnelError && error.temporary;
    if (away && Date.now() < value.ends) return value.token; // the issuer may be back before it ends
    throw error;
  }
}

let renewing: Promise<Session> | undefined;

/** renewal gets new tokens, once for all who need them: a refresh token is good for one time. */
function renewal(old: Session): Promise<Session> {
  renewing ??= import('./oidc')
    .then(({ renew }) => renew(old))
    .then((next) => (session.value === old ? keep(next) : next)) // or somebody has signed out meanwhile
    .finally(() => (renewing = undefined));
  return renewing;
}

/** provider asks the gateway with whom people sign in; nothing if with nobody. */
export async function provider(): Promise<Provider | undefined> {
  const response = await fetch('/signin.json');
  const reply = (await response.json()) as (Provider & { error?: { message: string } }) | null;
  if (!response.ok) throw new Error(reply?.error?.message ?? `the gateway answers ${response.status}`);
  return reply ?? undefined;
}

/** signIn leaves for the issuer; again is for somebody who is known there already, and wants to be another. */
export function signIn(again = false): void {
  sessionStorage.setItem(RETURN, location.pathname + location.hash);
  location.assign(again ? '/signin?prompt=login' : '/signin');
}

/** returnTo is where somebody was who left to sign in. */
export function returnTo(): string {
  return sessionStorage.getItem(RETURN) ?? '/';
}

/** signOut forgets who somebody was and what was kept for them, also at the issuer if it can. */
export function signOut(): void {
  const old = session.value;
  token.value = '';
  sessionStorage.clear();
  for (const key of Object.keys(localStorage)) if (key.startsWith('runnel.cache.')) localStorage.removeItem(key);
  if (!old?.provider.end_session_endpoint) return location.assign('/');
  const url = new URL(old.provider.end_session_endpoint);
  const home = `${location.origin}/`;
  url.searchParams.set('client_id', old.provider.client_id);
  url.searchParams.set('id_token_hint', old.idToken);
  url.searchParams.set('post_logout_redirect_uri', home);
  url.searchParams.set('logout_uri', home); // Cognito's name for it
  location.assign(url);
}
