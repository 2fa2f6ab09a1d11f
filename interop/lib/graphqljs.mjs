// What graphql-js answers to the questions of internal/graphql/testdata/oracle.
// `node lib/graphqljs.mjs` writes its answers there, from which the Go tests read
// them; `node lib/graphqljs.mjs SEED COUNT` prints answers to other questions.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { buildSchema, execute, getIntrospectionQuery, parse, validate } from 'graphql';

const home = new URL('../../internal/graphql/', import.meta.url);
const read = (name) => readFile(new URL(name, home), 'utf8');

export async function load() {
  const sdl = (await read('prelude.graphql')) + (await read('testdata/oracle/schema.graphql'));
  const data = JSON.parse(await read('testdata/oracle/data.json'));
  const cases = JSON.parse(await read('testdata/oracle/cases.json'));
  return { schema: buildSchema(sdl), root: resolvers(data), cases };
}

/** resolvers makes functions of what can fail, and of the fields that show their arguments. */
function resolvers(data) {
  const root = { ...data, echo: (args) => args, must: (args) => args };
  for (const [name, value] of Object.entries(data)) {
    if (value?.$error) root[name] = () => { throw new Error(value.$error); };
  }
  return root;
}

/** answer is what the Go side can be held to: data, and where errors are; or that nothing was executed. */
export async function answer({ schema, root }, { query, variables, operationName }) {
  let document;
  try {
    document = parse(query);
  } catch {
    return { query, variables, operationName, refused: true };
  }
  if (validate(schema, document).length > 0) return { query, variables, operationName, refused: true };
  const result = await execute({ schema, document, rootValue: root, variableValues: variables, operationName });
  if (!('data' in result)) return { query, variables, operationName, refused: true };
  const errors = result.errors?.map(({ path, locations }) => ({ path, locations: locations.map(({ line, column }) => ({ line, column })) }));
  return JSON.parse(JSON.stringify({ query, variables, operationName, data: result.data, errors }));
}

/** random returns a generator of numbers below n, the same for the same seed. */
function random(seed) {
  return (n) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
}

/** question makes up a query that is mostly valid. */
function question(schema, pick) {
  const fragments = [];
  const variables = { t: true, f: false };
  const condition = () => ['', '', '', '', ' @include(if: $t)', ' @skip(if: $t)', ' @include(if: $f)', ' @skip(if: $f)', ' @skip(if: true)'][pick(9)];
  const possible = (type) => (schema.getPossibleTypes && 'getFields' in type === false) || type.astNode?.kind === 'InterfaceTypeDefinition' ? schema.getPossibleTypes(type) : [type];
  const selection = (type, depth) => {
    const parts = [];
    for (let n = 1 + pick(4); n > 0; n--) {
      const kind = pick(10);
      const fields = 'getFields' in type ? Object.values(type.getFields()).filter((f) => f.args.length === 0) : [];
      if (kind === 0 || fields.length === 0 && kind < 5) {
        parts.push(`__typename${condition()}`);
      } else if (kind <= 6 && fields.length > 0) {
        const field = fields[pick(fields.length)];
        let named = field.type;
        while (named.ofType) named = named.ofType;
        const composite = 'getFields' in named || 'getTypes' in named;
        if (composite && depth <= 0) continue;
        const alias = pick(4) === 0 ? `${'xyz'[pick(3)]}_${field.name}: ` : pick(60) === 0 ? `${'xyz'[pick(3)]}: ` : '';
        parts.push(`${alias}${pick(200) === 0 ? 'nothing' : field.name}${condition()}${composite ? selection(named, depth - 1) : ''}`);
      } else {
        const objects = possible(type);
        const target = [type, ...objects, ...objects.flatMap((o) => o.getInterfaces())][pick(1 + objects.length)];
        if (depth <= 0) continue;
        if (kind === 9) {
          const name = `f${fragments.length}`;
          fragments.push('');
          fragments[Number(name.slice(1))] = `fragment ${name} on ${target.name}${selection(target, depth - 1)}`;
          parts.push(`...${name}${condition()}`);
        } else {
          parts.push(`... on ${target.name}${condition()}${selection(target, depth - 1)}`);
        }
      }
    }
    return ` { ${parts.join(' ') || '__typename'} }`;
  };
  const body = selection(schema.getQueryType(), 5);
  return { query: `query($t: Boolean!, $f: Boolean!) {${body.slice(2, -1)} a: int @skip(if: $t) b: int @skip(if: $f) }\n${fragments.join('\n')}`, variables };
}

/** questions returns count made-up questions, some of which graphql-js refuses. */
export async function questions(world, seed, count) {
  const pick = random(seed);
  const answers = [];
  while (answers.length < count) {
    answers.push(await answer(world, question(world.schema, pick)));
  }
  return answers;
}

/** golden returns everything that is stored, by file name. */
export async function golden() {
  const world = await load();
  const answers = await Promise.all(world.cases.map((c) => answer(world, c)));
  const introspection = await execute({
    schema: world.schema,
    document: parse(getIntrospectionQuery({ schemaDescription: true, specifiedByUrl: true, directiveIsRepeatable: true, inputValueDeprecation: true, oneOf: true })),
  });
  const lines = (list) => `[\n${list.map((a) => JSON.stringify(a)).join(',\n')}\n]\n`;
  return {
    'answers.json': lines([...answers, ...(await questions(world, 1, 200))]),
    'introspection.json': `${JSON.stringify(introspection.data, null, 1)}\n`,
    'introspection.graphql': `${getIntrospectionQuery({ schemaDescription: true, specifiedByUrl: true, directiveIsRepeatable: true, inputValueDeprecation: true, oneOf: true })}\n`,
  };
}

export const stored = (name) => read(`testdata/oracle/${name}`);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [seed, count] = process.argv.slice(2).map(Number);
  if (seed) {
    console.log(JSON.stringify(await questions(await load(), seed, count)));
  } else {
    for (const [name, text] of Object.entries(await golden())) await writeFile(new URL(`testdata/oracle/${name}`, home), text);
  }
}
