// Tokens of a real OIDC provider, which a web page and a backend get as they do everywhere.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startGateway } from './lib/gateway.mjs';
import { AUDIENCE, OTHER_AUDIENCE, signingKey, startIssuer } from './lib/issuer.mjs';
import { post } from './lib/native.mjs';
import { openPage } from './lib/page.mjs';
import { LIMIT, until } from './lib/wait.mjs';

const FAST = 'echo?ttft=0s&tps=0';
const LONG = 'echo?ttft=50ms&tps=20&tokens=1000'; // most of a minute

const bearer = (token) => ({ Authorization: `Bearer ${token}` });

/** start starts a gateway that knows the issuers, for the test t. */
const start = (t, model, ...issuers) =>
  startGateway(t, {
    model,
    config: {
      issuers: issuers.map(({ url }) => ({
        issuer: url,
        audiences: [AUDIENCE],
        client_ids: ['app', 'backend'],
        token_use: 'access',
        scopes: ['chat'],
        cookie: 'chat_token',
      })),
    },
  });

/** ask reads a session and returns the status of the answer. */
async function ask(gateway, headers, path = '/v1/sessions/s') {
  const response = await fetch(gateway.url + path, { headers });
  await response.arrayBuffer();
  return response.status;
}

describe('OIDC', { concurrency: true }, () => {
  for (const alg of ['RS256', 'ES256']) {
    test(`users log in with ${alg}, and see what is theirs`, LIMIT, async (t) => {
      const issuer = await startIssuer(t, [signingKey(alg, 'first')]);
      const gateway = await start(t, FAST, issuer);
      const { access_token: ada } = await issuer.login('ada');
      const { access_token: bob } = await issuer.login('bob');
      const submitted = await post(gateway, 's', { prompt: 'Hello' }, bearer(ada));
      assert.equal(submitted.status, 202);
      const { generation } = await submitted.json();
      await openPage(t, gateway, 's', `?token=${ada}`).shown(generation);
      for (const [shown, headers, path] of [
        ['a bearer', bearer(ada)],
        ['the token alone', { Authorization: ada }],
        ['a cookie', { Cookie: `other=1; chat_token=${ada}` }],
        ['the query', {}, `/v1/generations/${generation}?token=${ada}`],
      ]) {
        assert.equal(await ask(gateway, headers, path ?? `/v1/generations/${generation}`), 200, shown);
      }
      assert.equal(await ask(gateway, bearer(bob), `/v1/generations/${generation}`), 404);
      assert.equal((await post(gateway, 's', { prompt: 'Me too' }, bearer(bob))).status, 404);
      assert.equal(await ask(gateway, bearer(await issuer.token())), 200);
      assert.equal(issuer.fetches, 1);
    });
  }

  test('tokens that are not meant for the gateway are refused', LIMIT, async (t) => {
    const issuer = await startIssuer(t, [signingKey('ES256', 'first')]);
    const stranger = await startIssuer(t, [signingKey('ES256', 'first')]);
    const gateway = await start(t, FAST, issuer);
    const good = await issuer.login('ada');
    const [head, payload, signature] = good.access_token.split('.');
    const other = (await issuer.login('bob')).access_token.split('.')[1];
    assert.equal(await ask(gateway, bearer(good.access_token)), 200);
    for (const [reason, token] of [
      ['audience', (await issuer.login('ada', OTHER_AUDIENCE)).access_token],
      ['audience', await issuer.token(OTHER_AUDIENCE)],
      ['token_use', good.id_token],
      ['issuer', (await stranger.login('ada')).access_token],
      ['signature', [head, other, signature].join('.')],
      ['algorithm', [Buffer.from('{"alg":"none"}').toString('base64url'), payload, ''].join('.')],
    ]) {
      assert.equal(await ask(gateway, bearer(token)), 401, reason);
      await until(`the log says ${reason}`, () => gateway.log.split('\n').some((line) => line.includes('"audit"') && line.includes(`"reason":"${reason}"`)));
    }
    assert.ok(!gateway.log.includes(signature), 'the log has a token');
  });

  // A gateway asks an issuer at most once in ten seconds, so this takes as long.
  test('a key that joins the others counts soon, and they go on', LIMIT, async (t) => {
    const old = signingKey('RS256', 'old');
    const issuer = await startIssuer(t, [old]);
    const gateway = await start(t, FAST, issuer);
    const tokens = [await issuer.token(), await issuer.token()];
    assert.equal(await ask(gateway, bearer(tokens[0])), 200);
    issuer.rotate([signingKey('ES256', 'new'), old]);
    tokens.push(await issuer.token());
    await until('the new key counts', async () => (await ask(gateway, bearer(tokens[2]))) === 200);
    for (const token of tokens) assert.equal(await ask(gateway, bearer(token)), 200);
    assert.equal(issuer.fetches, 2, 'the gateway asks the issuer once, however often it is asked');
  });

  test('a key that is replaced counts no longer', LIMIT, async (t) => {
    const issuer = await startIssuer(t, [signingKey('RS256', 'old')]);
    const gateway = await start(t, FAST, issuer);
    const [seen, unseen] = [await issuer.token(), await issuer.token()];
    assert.equal(await ask(gateway, bearer(seen)), 200);
    issuer.rotate([signingKey('RS256', 'new')]);
    const fresh = await issuer.token();
    await until('the new key counts', async () => (await ask(gateway, bearer(fresh))) === 200);
    assert.equal(await ask(gateway, bearer(unseen)), 401);
    assert.equal(await ask(gateway, bearer(seen)), 200, 'it is remembered for five minutes');
    assert.equal(issuer.fetches, 2);
  });

  test('a stream ends with its token, the generation does not, and a new token goes on', LIMIT, async (t) => {
    const issuer = await startIssuer(t, [signingKey('ES256', 'first')], 8);
    const gateway = await start(t, LONG, issuer);
    const { access_token: token } = await issuer.login('ada');
    const expires = JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).exp * 1000;
    const { generation } = await (await post(gateway, 's', { prompt: 'Hello' }, bearer(token))).json();
    const response = await fetch(`${gateway.url}/v1/sessions/s/events`, { headers: bearer(token) });
    assert.equal(response.status, 200);
    const text = await response.text(); // comes to its end
    const late = Date.now() - expires;
    assert.ok(late > -50 && late < 3000, `the stream ended ${late} ms after its token`);
    const frames = text.trim().split('\n\n');
    assert.match(frames.at(-1), /^event: error\ndata: .*"unauthenticated"/);
    assert.ok(text.includes('event: delta'));
    assert.equal(await ask(gateway, bearer(token)), 401);

    const { access_token: renewed } = await issuer.login('ada');
    const state = await (await fetch(`${gateway.url}/v1/generations/${generation}`, { headers: bearer(renewed) })).json();
    assert.equal(state.state, 'running');
    const cursor = frames.at(-2).match(/^id: (.+)$/m)[1];
    const again = await fetch(`${gateway.url}/v1/sessions/s/events`, { headers: { ...bearer(renewed), 'Last-Event-ID': cursor } });
    const reader = again.body.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await reader.read();
    await reader.cancel();
    assert.doesNotMatch(value, /event: (reset|error)/);
  });
});
