import { useEffect, useRef } from 'preact/hooks';

import { loadModels, signedOut } from './gateway';
import { token } from './settings';

export function SignIn() {
  const dialog = useRef<HTMLDialogElement>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (!dialog.current?.open) dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby="signin" onCancel={(event) => event.preventDefault()}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          token.value = field.current?.value.trim() ?? '';
          signedOut.value = false;
          void loadModels();
        }}
      >
        <h2 id="signin">Sign in</h2>
        <p>This gateway asks who you are. {token.value && 'What you have shown it is not, or no longer, good.'}</p>
        <label>
          API key or token
          <input ref={field} type="password" autocomplete="current-password" required autofocus />
        </label>
        <p class="hint">It stays in this browser. “runnel key new” makes a key.</p>
        <button type="submit" class="primary">
          Sign in
        </button>
      </form>
    </dialog>
  );
}
