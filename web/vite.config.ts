import { fileURLToPath } from 'node:url';

import { defineConfig } from 'vite';

export default defineConfig({
  resolve: {
    alias: { '@runnelhq/client': fileURLToPath(new URL('../clients/ts/src/index.ts', import.meta.url)) },
  },
  build: {
    outDir: '../internal/web/static/page',
    emptyOutDir: true,
    target: 'es2022',
    // What is inlined as data: URLs would need a wider content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: {
        index: fileURLToPath(new URL('index.html', import.meta.url)),
        admin: fileURLToPath(new URL('admin.html', import.meta.url)),
        signin: fileURLToPath(new URL('signin.html', import.meta.url)),
        worker: fileURLToPath(new URL('src/worker.ts', import.meta.url)),
      },
      output: {
        // The worker's scope is its folder, so it lies at the top.
        entryFileNames: ({ name }) => (name === 'worker' ? 'worker.js' : 'assets/[name]-[hash].js'),
      },
    },
  },
  server: {
    proxy: Object.fromEntries(['/v1', '/api', '/dev', '/graphql', '/signin.json'].map((path) => [path, { target: 'http://127.0.0.1:8080', ws: true }])),
  },
});
