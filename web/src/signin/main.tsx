import { render } from 'preact';

import { keep, provider, returnTo } from '../identity';
import { begin, finish } from '../oidc';
import '../style.css';

/** run leaves for the issuer, or takes in what somebody brings back from there. */
async function run(): Promise<void> {
  const address = new URL(location.href);
  if (address.searchParams.has('state') || address.searchParams.has('error')) {
    history.replaceState(null, '', '/signin'); // nobody is to find the code in the history
    keep(await finish(address));
    location.replace(returnTo());
    return;
  }
  const known = await provider();
  if (!known) throw new Error('This gateway knows nobody to sign in with.');
  location.replace(await begin(known, address.searchParams.get('prompt')));
}

function Page({ trouble }: { trouble?: string }) {
  return (
    <main class="signing-in">
      <h1>{trouble ? 'You are not signed in' : 'Signing in…'}</h1>
      {trouble && (
        <>
          <p role="alert">{trouble}</p>
          <p>
            <a class="button primary" href="/signin">
              Try again
            </a>{' '}
            <a class="button" href={returnTo()}>
              Back
            </a>
          </p>
        </>
      )}
    </main>
  );
}

const app = document.getElementById('app')!;
render(<Page />, app);
run().catch((error: unknown) => render(<Page trouble={error instanceof Error ? error.message : String(error)} />, app));
