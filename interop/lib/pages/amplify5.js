// The same with Amplify 5, which the reference implementation's page is built with.
import { API, graphqlOperation } from 'aws-amplify-5';

globalThis.watch = (endpoint, query, sessionId) => {
  API.configure({
    aws_appsync_graphqlEndpoint: endpoint,
    aws_appsync_region: 'us-east-1',
    aws_appsync_authenticationType: 'API_KEY',
    aws_appsync_apiKey: 'da2-any',
  });
  const shown = (globalThis.shown = { messages: [], errors: [] });
  API.graphql(graphqlOperation(query, { sessionId })).subscribe({
    next: ({ value }) => shown.messages.push(value.data.onSendMessage.message),
    error: (err) => shown.errors.push(String(err?.error?.errors?.[0]?.message ?? err)),
  });
};
globalThis.ask = (query, variables) => API.graphql(graphqlOperation(query, variables));
