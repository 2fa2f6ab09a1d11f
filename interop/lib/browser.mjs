import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { defer } from './wait.mjs';

const ARGS = [
  '--no-sandbox', // tests run as root
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--js-flags=--expose-gc',
  '--enable-precise-memory-info',
];

/** openBrowser starts Debian's Chromium, with nothing of anybody's in it, until the test t is over. */
export async function openBrowser(t, options = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'runnel-chromium-'));
  defer(t, () => rm(dir, { recursive: true, force: true, maxRetries: 5 }));
  const context = await chromium.launchPersistentContext(dir, {
    executablePath: '/usr/bin/chromium',
    args: ARGS,
    viewport: { width: 1280, height: 800 },
    reducedMotion: 'reduce',
    ...options,
  });
  defer(t, () => context.close());
  return context;
}
