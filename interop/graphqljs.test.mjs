// graphql-js, the reference implementation, as the oracle of internal/graphql:
// what the Go tests are held to is what it says today, and its own client-side
// tools understand our introspection.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { buildClientSchema, lexicographicSortSchema, printSchema } from 'graphql';

import { golden, load, questions, stored } from './lib/graphqljs.mjs';

const run = promisify(execFile);
const PATIENCE = { timeout: 300_000 }; // the Go compiler may run

/** goTest runs one test of internal/graphql, and returns what it prints. */
const goTest = (name, env) => run('go', ['test', '-count=1', '-v', '-run', `^${name}$`, './internal/graphql'], { cwd: path.resolve(import.meta.dirname, '..'), env: { ...process.env, ...env } });

test('the stored answers are those of graphql-js', PATIENCE, async () => {
  for (const [name, text] of Object.entries(await golden())) assert.equal(await stored(name), text, name);
});

test('questions that nobody has seen before are answered the same', PATIENCE, async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'graphqljs-'));
  try {
    const seed = Number(process.env.SEED ?? 2);
    const file = path.join(dir, 'answers.json');
    await writeFile(file, JSON.stringify(await questions(await load(), seed, 3000)));
    const { stdout } = await goTest('TestOracle', { RUNNEL_GRAPHQL_ANSWERS: file }).catch((err) => assert.fail(`seed ${seed}:\n${err.stdout}`));
    assert.match(stdout, /--- PASS: TestOracle/);
  } finally {
    await rm(dir, { recursive: true });
  }
});

test('buildClientSchema gives back the schema that was loaded', PATIENCE, async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'graphqljs-'));
  try {
    const file = path.join(dir, 'introspection.json');
    await goTest('TestIntrospection', { RUNNEL_GRAPHQL_INTROSPECTION: file });
    const { data, errors } = JSON.parse(await readFile(file, 'utf8'));
    assert.equal(errors, undefined);
    const { schema } = await load();
    assert.equal(printSchema(lexicographicSortSchema(buildClientSchema(data))), printSchema(lexicographicSortSchema(schema)));
  } finally {
    await rm(dir, { recursive: true });
  }
});
