// What the page of an AppSync application does, with Amplify 6.
import { Amplify } from 'aws-amplify';
import { generateClient } from 'aws-amplify/api';

globalThis.watch = (endpoint, query, sessionId) => {
  Amplify.configure({ API: { GraphQL: { endpoint, region: 'us-east-1', defaultAuthMode: 'apiKey', apiKey: 'da2-any' } } });
  const shown = (globalThis.shown = { messages: [], errors: [] });
  generateClient()
    .graphql({ query, variables: { sessionId } })
    .subscribe({
      next: ({ data }) => shown.messages.push(data.onSendMessage.message),
      error: (err) => shown.errors.push(String(err?.error?.message ?? err?.message ?? err)),
    });
};
globalThis.ask = (query, variables) => generateClient().graphql({ query, variables });
