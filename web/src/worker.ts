// The page without a network: its own files, from the last time there was one. The
// API is never answered from here.
declare const self: ServiceWorkerGlobalScope;
export {};

interface ServiceWorkerGlobalScope extends WorkerGlobalScope {
  registration: { scope: string };
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void> };
  addEventListener(type: 'install' | 'activate', f: (event: ExtendableEvent) => void): void;
  addEventListener(type: 'fetch', f: (event: ExtendableEvent & { request: Request; respondWith(r: Promise<Response>): void }) => void): void;
}

interface ExtendableEvent extends Event {
  waitUntil(promise: Promise<unknown>): void;
}

interface WorkerGlobalScope {
  caches: CacheStorage;
}

const CACHE = 'runnel-page-1';
const PAGE = '/';
const OURS = /^\/(assets\/|icon\.svg$|manifest\.webmanifest$)/;

self.addEventListener('install', (event) => {
  event.waitUntil(self.caches.open(CACHE).then((cache) => cache.add(PAGE)).then(() => self.skipWaiting()));
});

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== new URL(self.registration.scope).origin) return;
  if (request.mode === 'navigate' && url.pathname === PAGE) event.respondWith(fresh(request));
  else if (OURS.test(url.pathname)) event.respondWith(kept(request));
});

/** fresh asks the network, and is what there was last time without it. */
async function fresh(request: Request): Promise<Response> {
  const cache = await self.caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(PAGE, response.clone());
    return response;
  } catch (error) {
    const old = await cache.match(PAGE);
    if (old) return old;
    throw error;
  }
}

/** kept is what there is already: a file with a hash in its name never changes. */
async function kept(request: Request): Promise<Response> {
  const cache = await self.caches.open(CACHE);
  const old = await cache.match(request);
  if (old) return old;
  const response = await fetch(request);
  if (response.ok) await cache.put(request, response.clone());
  return response;
}
