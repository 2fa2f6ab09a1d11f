// Sends what a page's AWS clients send to Lex and Cognito to the gateway that
// this script is from. It comes before the page's own scripts: the clients look
// the global fetch, or XMLHttpRequest if they are older, up for every call.
(() => {
  const gateway = new URL(document.currentScript.src).origin;
  const services = /^https:\/\/(?:runtime-v2-lex|runtime\.lex|cognito-identity)\.[a-z0-9-]+\.amazonaws\.com(?::443)?(?=\/|$)/;
  const here = (url) => String(url).replace(services, gateway);
  const fetch = window.fetch.bind(window);
  window.fetch = async (input, init) => {
    const request = input instanceof Request;
    const url = request ? input.url : String(input);
    if (!services.test(url)) return fetch(input, init);
    if (!request) return fetch(here(url), init);
    const { method, headers, signal } = input;
    // Read as a whole: a stream as body would ask for HTTP/2.
    const body = method === 'GET' || method === 'HEAD' ? undefined : await input.arrayBuffer();
    return fetch(here(url), { method, headers, signal, body, ...init });
  };
  const { open } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    return open.call(this, method, here(url), ...rest);
  };
})();
