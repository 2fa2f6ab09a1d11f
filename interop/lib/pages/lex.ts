// What a Lex Web UI says to AWS, by AWS's own clients, and shows of it. It is loaded as the UI's loader is.
import { CognitoIdentityClient, GetCredentialsForIdentityCommand, GetIdCommand } from '@aws-sdk/client-cognito-identity';
import { LexRuntimeV2Client, PutSessionCommand, RecognizeTextCommand } from '@aws-sdk/client-lex-runtime-v2';
import { Sha256 } from '@aws-crypto/sha256-js';
import { HttpRequest } from '@smithy/protocol-http';
import { SignatureV4 } from '@smithy/signature-v4';

class FullPageLoader {
  constructor({ baseUrl }) {
    this.baseUrl = baseUrl;
  }

  async load() {
    const config = await (await fetch(`${this.baseUrl}lex-web-ui-loader-config.json`)).json();
    const cognito = new CognitoIdentityClient({ region: config.cognito.region });
    const { IdentityId } = await cognito.send(new GetIdCommand({ IdentityPoolId: config.cognito.poolId }));
    const { Credentials } = await cognito.send(new GetCredentialsForIdentityCommand({ IdentityId }));
    const credentials = { accessKeyId: Credentials.AccessKeyId, secretAccessKey: Credentials.SecretKey, sessionToken: Credentials.SessionToken };
    const lex = new LexRuntimeV2Client({ region: config.lex.region, credentials });
    const bot = { botId: config.lex.v2BotId, botAliasId: config.lex.v2BotAliasId, localeId: config.lex.v2BotLocaleId, sessionId: IdentityId };
    await lex.send(new PutSessionCommand({ ...bot, sessionState: { dialogAction: { type: 'ElicitIntent' } } }));

    // Signed as the UI does it: for the host without its port, and nothing but that.
    const at = new URL(config.lex.streamingWebSocketEndpoint);
    const signed = await new SignatureV4({ service: 'execute-api', region: config.region, credentials, sha256: Sha256 }).presign(
      new HttpRequest({ method: 'GET', protocol: 'wss:', hostname: at.hostname, path: at.pathname, query: { sessionId: IdentityId }, headers: { host: at.hostname } }),
      { expiresIn: 3600 },
    );
    const socket = new WebSocket(`${at.href}?${new URLSearchParams(signed.query as Record<string, string>)}`);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error('the WebSocket is refused'));
    });
    socket.send('{"action":"ping"}');

    document.body.innerHTML = '<h1>Chat</h1><form><input id="text" autofocus><button>Send</button></form><ol id="said"></ol>';
    const add = (role) => {
      const item = document.createElement('li');
      item.className = role;
      document.querySelector('#said').append(item);
      return item;
    };
    const endpoint = config.lex.streamingWebSocketEndpoint.replace('wss://', 'https://');
    document.querySelector('form').onsubmit = async (event) => {
      event.preventDefault();
      const text = document.querySelector<HTMLInputElement>('#text').value;
      add('user').textContent = text;
      const bubble = add('streaming');
      socket.onmessage = ({ data }) => (bubble.textContent += data);
      const answer = await lex.send(new RecognizeTextCommand({
        ...bot, text,
        sessionState: { sessionAttributes: { streamingEndpoint: endpoint, streamingDynamoDbTable: config.lex.streamingDynamoDbTable } },
      }));
      bubble.className = 'streamed';
      const final = add('final');
      final.textContent = answer.messages.map(({ content }) => content).join('\n');
      final.dataset.state = `${answer.sessionState.intent.state} ${Object.keys(answer.sessionState.sessionAttributes).sort()}`;
    };
  }
}

globalThis.ChatBotUiLoader = { FullPageLoader };
