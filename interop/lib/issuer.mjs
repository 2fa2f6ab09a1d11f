import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';
import * as client from 'openid-client';

import { defer } from './wait.mjs';

export const AUDIENCE = 'https://chat.example';
export const OTHER_AUDIENCE = 'https://mail.example';

const REDIRECT = 'http://127.0.0.1/callback'; // nobody is there: the code is in the URL
const APP = { client_id: 'app', token_endpoint_auth_method: 'none', redirect_uris: [REDIRECT] };
const BACKEND = { client_id: 'backend', client_secret: 'backend-secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };

/** signingKey makes a key for a provider, RS256 or ES256. */
export function signingKey(alg, kid) {
  const { privateKey } = alg === 'RS256' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), alg, kid, use: 'sig' };
}

/**
 * startIssuer starts an OIDC provider that signs with the first of the keys, for
 * the test t. With a page, the URL of a gateway, people log in themselves there
 * and their browsers get tokens, with refresh tokens if it is said so.
 */
export async function startIssuer(t, keys, lifetime = 600, page = undefined) {
  const issuer = new Issuer(lifetime, page);
  const server = createServer((req, res) => issuer.serve(req, res));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  defer(t, async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  issuer.url = `http://127.0.0.1:${server.address().port}`;
  issuer.rotate(keys);
  return issuer;
}

/** An Issuer is oidc-provider at a place where it can be replaced. */
class Issuer {
  fetches = 0; // of its keys

  #provider;
  #lifetime;
  #page;

  constructor(lifetime, page) {
    this.#lifetime = lifetime;
    this.#page = page;
  }

  /** rotate puts a provider with these keys in place of the one that is there. */
  rotate(keys) {
    const lifetime = this.#lifetime;
    const page = this.#page && {
      client_id: 'page',
      token_endpoint_auth_method: 'none',
      redirect_uris: [`${this.#page.url}/signin`],
      post_logout_redirect_uris: [`${this.#page.url}/`],
      grant_types: ['authorization_code', ...(this.#page.refresh ? ['refresh_token'] : [])],
    };
    this.#provider = new Provider(this.url, {
      jwks: { keys },
      clients: [APP, BACKEND, ...(page ? [page] : [])],
      cookies: { keys: ['of the interop tests'] },
      clientDefaults: { id_token_signed_response_alg: keys[0].alg },
      findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
      ttl: { AccessToken: lifetime, ClientCredentials: lifetime, IdToken: lifetime, Interaction: 60, Session: 60, Grant: 60 },
      ...(page ? {} : { interactions: { url: (_, { uid }) => `/login/${uid}` } }),
      clientBasedCORS: () => true,
      issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
      features: {
        devInteractions: { enabled: page !== undefined },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_, audience) => ({
            audience,
            scope: 'chat',
            accessTokenFormat: 'jwt',
            accessTokenTTL: lifetime,
            jwt: { sign: { alg: keys[0].alg } },
          }),
        },
      },
    });
  }

  serve(req, res) {
    if (req.url.startsWith('/login/')) return this.#interact(req, res);
    if (req.url.startsWith('/jwks')) this.fetches++;
    return this.#provider.callback()(req, res);
  }

  /** The provider's page on which a user logs in, and allows everything. */
  async #interact(req, res) {
    const { params } = await this.#provider.interactionDetails(req, res);
    const grant = new this.#provider.Grant({ accountId: params.login_hint, clientId: params.client_id });
    grant.addOIDCScope('openid');
    grant.addResourceScope(params.resource, 'chat');
    const result = { login: { accountId: params.login_hint }, consent: { grantId: await grant.save() } };
    return this.#provider.interactionFinished(req, res, result);
  }

  /** login returns the tokens that a web page gets for its user: an authorization code with PKCE. */
  async login(user, resource = AUDIENCE) {
    const config = await client.discovery(new URL(this.url), APP.client_id, undefined, client.None(), {
      execute: [client.allowInsecureRequests],
    });
    const verifier = client.randomPKCECodeVerifier();
    const begin = client.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT,
      scope: 'openid chat',
      resource,
      login_hint: user,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    return client.authorizationCodeGrant(config, await browse(begin), { pkceCodeVerifier: verifier, idTokenExpected: true }, { resource });
  }

  /** token returns what a backend gets for itself. */
  async token(resource = AUDIENCE) {
    const config = await client.discovery(new URL(this.url), BACKEND.client_id, BACKEND.client_secret, undefined, {
      execute: [client.allowInsecureRequests],
    });
    const { access_token } = await client.clientCredentialsGrant(config, { resource, scope: 'chat' });
    return access_token;
  }
}

/** browse follows redirects with cookies, as a browser does, to where the application has its page. */
async function browse(url) {
  const cookies = new Map();
  for (let hops = 0; !url.href.startsWith(REDIRECT); hops++) {
    const response = await fetch(url, { redirect: 'manual', headers: { Cookie: [...cookies.values()].join('; ') } });
    const location = response.headers.get('location');
    if (!location || hops > 10) throw new Error(`the login ends at ${url}: ${response.status} ${await response.text()}`);
    for (const cookie of response.headers.getSetCookie()) {
      const [pair] = cookie.split(';');
      cookies.set(pair.split('=')[0], pair);
    }
    url = new URL(location, url);
  }
  return url;
}
