// Loads before aws-lambda-ric and stands in for its transport, which is libcurl behind a C++ module that has to be compiled.
// All else is the official client: how handlers are found, called and streamed, and what it says of their failures.
const http = require('node:http');
const Module = require('node:module');

const resolve = Module._resolveFilename;
Module._resolveFilename = function (request, ...rest) {
  return request.endsWith('/rapid-client.node') ? __filename : resolve.call(this, request, ...rest);
};

const base = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;
let posted = Promise.resolve(); // the answer that must be there before the next event is asked for

const call = (method, path, headers, body) =>
  new Promise((done, fail) => {
    const request = http.request(`${base}/${path}`, { method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece) => (text += piece)).on('error', fail);
      response.on('end', () => done({ bodyJson: text, headers: response.headers }));
    });
    request.on('error', fail).end(body);
  });

module.exports = {
  initializeClient() {},
  async next() {
    await posted;
    return call('GET', 'next');
  },
  done(id, body) {
    posted = call('POST', `${id}/response`, { 'Content-Type': 'application/json' }, body);
  },
  error(id, body) {
    posted = call('POST', `${id}/error`, { 'Content-Type': 'application/json' }, body);
  },
};
