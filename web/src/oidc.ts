// Signing in with OpenID Connect: the authorization code flow with PKCE, as a client
// without a secret. Loaded when somebody signs in, and when a token is renewed.
import { RunnelError } from '@runnelhq/client';
import * as oauth from 'oauth4webapi';

import type { Provider, Session } from './identity';

/** How wrong a clock may be when it checks a token that has just been made, in seconds. */
const SKEW = 300;
/** How much earlier than it says a token ends for us: it has been on its way, and counts in seconds. In ms. */
const EARLY = 5_000;
/** How long before that it is renewed. */
const MARGIN = 30_000;
const PENDING = 'runnel.pending';

/** What must be known again when the issuer sends somebody back. */
interface Pending {
  provider: Provider;
  state: string;
  nonce: string;
  verifier: string;
}

const redirect = () => `${location.origin}/signin`;

/** begin returns where to go to sign in. */
export async function begin(provider: Provider, prompt: string | null): Promise<URL> {
  const pending: Pending = {
    provider,
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    verifier: oauth.generateRandomCodeVerifier(),
  };
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  const url = new URL(provider.authorization_endpoint);
  const parameters = {
    response_type: 'code',
    client_id: provider.client_id,
    redirect_uri: redirect(),
    scope: provider.scope,
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(pending.verifier),
    code_challenge_method: 'S256',
    ...(prompt === 'login' ? { prompt } : {}),
    ...purpose(provider),
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url;
}

/** finish makes a session of the address with which the issuer has sent somebody back. */
export async function finish(address: URL): Promise<Session> {
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? 'null') as Pending | null;
  sessionStorage.removeItem(PENDING); // a code is good for one time
  if (!pending) throw new Error('This sign-in is over, or was not begun in this tab.');
  const { provider } = pending;
  const client = clientOf(provider);
  try {
    const parameters = oauth.validateAuthResponse(provider, client, address, pending.state);
    const response = await oauth.authorizationCodeGrantRequest(
      provider,
      client,
      oauth.None(),
      parameters,
      redirect(),
      pending.verifier,
      options(provider),
    );
    const result = await oauth.processAuthorizationCodeResponse(provider, client, response, { expectedNonce: pending.nonce, requireIdToken: true });
    return sessionOf(provider, result);
  } catch (error) {
    throw new Error(words(error), { cause: error });
  }
}

/** renew returns a session with new tokens. The error is of kind unauthenticated if there are none to be had. */
export async function renew(old: Session): Promise<Session> {
  const { provider } = old;
  const client = clientOf(provider);
  try {
    const response = await oauth.refreshTokenGrantRequest(provider, client, oauth.None(), old.refresh!, options(provider));
    return sessionOf(provider, await oauth.processRefreshTokenResponse(provider, client, response), old);
  } catch (cause) {
    const refused = cause instanceof oauth.ResponseBodyError && cause.status < 500;
    const away = (cause instanceof TypeError && !('code' in cause)) || cause instanceof oauth.ResponseBodyError;
    if (away && !refused) throw new RunnelError('unavailable', 'the issuer cannot be reached', undefined, 0, { cause });
    throw new RunnelError('unauthenticated', 'the sign-in has ended', undefined, 0, { cause });
  }
}

function clientOf({ client_id }: Provider): oauth.Client {
  return { client_id, [oauth.clockTolerance]: SKEW };
}

function options(provider: Provider) {
  return {
    additionalParameters: purpose(provider),
    // An issuer without TLS can only be one on this machine: the gateway accepts no other.
    [oauth.allowInsecureRequests]: provider.token_endpoint.startsWith('http:'),
  };
}

/** purpose tells an issuer what the token is for. */
function purpose({ resource, audience }: Provider): Record<string, string> {
  return { ...(resource ? { resource } : {}), ...(audience ? { audience } : {}) };
}

function sessionOf(provider: Provider, result: oauth.TokenEndpointResponse, old?: Session): Session {
  const claims = oauth.getValidatedIdTokenClaims(result);
  const useID = provider.token === 'id';
  const token = useID ? result.id_token : result.access_token;
  if (!token) throw new Error('There is no ID token in the answer.');
  const lifetime = 1000 * (useID && claims ? claims.exp - claims.iat : (result.expires_in ?? 3600));
  const ends = Date.now() + lifetime - Math.min(EARLY, lifetime / 4);
  const refresh = result.refresh_token ?? old?.refresh;
  return {
    provider,
    token,
    renew: ends - Math.min(MARGIN, lifetime / 4),
    ends,
    ...(refresh ? { refresh } : {}),
    idToken: result.id_token ?? old?.idToken ?? '',
    user: claims ? `${provider.issuer}#${claims.sub}` : old!.user,
    name: claims ? nameOf(claims) : old!.name,
  };
}

function nameOf(claims: oauth.IDToken): string {
  const names = [claims['name'], claims['preferred_username'], claims['email'], claims['cognito:username'], claims.sub];
  return names.find((name): name is string => typeof name === 'string' && name !== '') ?? '';
}

/** words says to a person what has become of the sign-in. */
function words(error: unknown): string {
  if (error instanceof oauth.AuthorizationResponseError) {
    const said = error.error_description ?? error.error;
    return error.error === 'access_denied' ? `The issuer did not let you in: ${said}.` : `The issuer answers: ${said}.`;
  }
  if (error instanceof oauth.ResponseBodyError) return `The issuer gives no token: ${error.error_description ?? error.error}.`;
  if (error instanceof TypeError && !('code' in error)) return 'The issuer cannot be reached.';
  return error instanceof Error ? `The issuer’s answer cannot be used: ${error.message}.` : String(error);
}
