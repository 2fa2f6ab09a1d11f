import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import { loadModels, signedOut } from './gateway';
import { provider, session, showKey, signIn, type Provider } from './identity';
import { token } from './settings';

/** SignIn asks who somebody is; again is for one who is known, and wants to be another. */
export function SignIn({ again = false }: { again?: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const issuer = useSignal<Provider | undefined>(undefined);
  const trouble = useSignal('');
  useEffect(() => {
    if (!dialog.current?.open) dialog.current?.showModal();
    provider().then(
      (found) => (issuer.value = found),
      (error: unknown) => (trouble.value = error instanceof Error ? error.message : String(error)),
    );
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby="signin" onCancel={(event) => event.preventDefault()}>
      <h2 id="signin">Sign in</h2>
      <p>{why(again)}</p>
      {trouble.value && (
        <p class="failure" role="alert">
          {trouble.value}
        </p>
      )}
      {issuer.value ? (
        <>
          <button type="button" class="primary full" onClick={() => signIn(again)}>
            Sign in with {new URL(issuer.value.issuer).host}
          </button>
          <details>
            <summary>Use an API key or a token</summary>
            <Key />
          </details>
        </>
      ) : (
        <Key />
      )}
    </dialog>
  );
}

function why(again: boolean): string {
  if (again) return 'What you have shown is good, but not for this page.';
  if (session.value) return `Your sign-in as ${session.value.name} has ended. You come back to where you are, and an answer goes on meanwhile.`;
  if (token.value) return 'What you have shown to this gateway is not, or no longer, good.';
  return 'This gateway asks who you are.';
}

function Key() {
  const field = useRef<HTMLInputElement>(null);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        showKey(field.current?.value.trim() ?? '');
        signedOut.value = false;
        void loadModels();
      }}
    >
      <label>
        API key or token
        <input ref={field} type="password" autocomplete="current-password" required autofocus />
      </label>
      <p class="hint">It stays in this browser. “runnel key new” makes a key.</p>
      <button type="submit" class="primary">
        Sign in
      </button>
    </form>
  );
}
