// Writes schema.json: the schemas of those resource types of the AWS provider that
// the Terraform modules use, as the npm package @cdktf/provider-aws has them.
//
//     npm pack @cdktf/provider-aws@21.22.1 && tar xzf cdktf-provider-aws-*.tgz
//     node generate.mjs package > schema.json
import fs from 'node:fs';
import path from 'node:path';

const root = process.argv[2];
const used = `
  apigatewayv2_api apigatewayv2_authorizer apigatewayv2_integration apigatewayv2_route apigatewayv2_stage
  appsync_api_key appsync_datasource appsync_graphql_api appsync_resolver
  cloudformation_stack cloudwatch_log_group cloudwatch_metric_alarm dynamodb_table iam_role iam_role_policy
  lambda_event_source_mapping lambda_function lambda_function_event_invoke_config lambda_function_url lambda_permission
  sns_topic sns_topic_subscription sqs_queue sqs_queue_policy vpc_endpoint
  data-iam_policy_document data-region data-caller_identity data-partition provider`.trim().split(/\s+/);

const simple = new Set(['string', 'number', 'boolean']);

// The members of each struct: in its interface (which are required, which are single; its names are camel case)
// and in what writes it as HCL (their names and kinds).
function read(folder) {
  const types = fs.readFileSync(path.join(folder, 'index.d.ts'), 'utf8');
  const code = fs.readFileSync(path.join(folder, 'index.js'), 'utf8');
  const interfaces = {};
  for (const [, name, body] of types.matchAll(/export interface (\w+)[^{]*\{\n([\s\S]*?)\n\}/g)) {
    interfaces[name] = {};
    for (const [, member, optional, type] of body.matchAll(/^ {4}readonly (\w+)(\??): ([^;{]*(?:\{[\s\S]*?\}[^;]*)?);/gm)) {
      interfaces[name][member.toLowerCase()] = { required: !optional, many: type.includes('[]') };
    }
  }
  const members = (text) => [...text.matchAll(/(\w+): \{\s+value: [^\n]+\n\s+isBlock: (\w+),\s+type: "(\w+)",\s+storageClassType: "(\w+)",/g)].map(
    ([, name, block, kind, storage]) => ({ name, block: block === 'true', kind, storage }),
  );
  const structs = {};
  for (const [, name, body] of code.matchAll(/^function (\w+)ToHclTerraform\(struct\) \{\n([\s\S]*?)\n\}/gm)) {
    structs[name[0].toUpperCase() + name.slice(1)] = members(body);
  }
  const main = code.match(/^class (\w+) extends cdktf\.Terraform(?:Resource|DataSource|Provider)[\s\S]*?^}/m);
  const written = main[0].slice(main[0].indexOf('synthesizeHclAttributes'));
  const top = block(`${main[1]}Config`, members(written));

  // The package does not tell which optional attributes get a value of their own.
  for (const name of ['id', 'region']) if (top.attributes[name]) top.attributes[name][1] = 'oc';

  for (const [, kind, name] of main[0].matchAll(/this\.get(String|Number|Boolean|List|StringMap)Attribute\('(\w+)'\)/g)) {
    top.attributes[name] ??= [{ String: 'string', Number: 'number', Boolean: 'bool', List: 'list(string)', StringMap: 'map(string)' }[kind], 'c'];
  }
  for (const [, kind, name] of main[0].matchAll(/new (cdktf\.\w+|\w+List)\(this, "(\w+)"/g)) {
    if (!top.blocks[name]) top.attributes[name] ??= [kind === 'cdktf.StringMap' ? 'map(string)' : 'dynamic', 'c'];
  }
  return top;

  function block(type, list) {
    const out = { attributes: {}, blocks: {} };
    for (const m of list) {
      const { required, many } = interfaces[type]?.[m.name.replaceAll('_', '')] ?? fail(`${type} has no ${m.name}`);
      if (m.block) {
        const inner = m.storage.replace(/List$/, '');
        const b = block(inner, structs[inner] ?? fail(`no struct ${inner}`));
        out.blocks[m.name] = { nesting: m.kind === 'struct' ? 'single' : m.kind, min: required ? 1 : 0, max: many ? 0 : 1, ...b };
      } else {
        out.attributes[m.name] = [attributeType(m), required ? 'r' : 'o'];
      }
    }
    return out;
  }
}

function attributeType({ kind, storage }) {
  const element = storage.replace(/(List|Map)$/, '').replace('boolean', 'bool');
  if (simple.has(storage)) return element;
  if (!['string', 'number', 'bool'].includes(element)) return 'dynamic';
  return `${kind}(${element})`;
}

function fail(text) {
  throw new Error(text);
}

const meta = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
const version = fs.readFileSync(path.join(root, 'lib/sns-topic/index.js'), 'utf8').match(/providerVersion: '([\d.]+)'/)[1];
const schema = { source: `${meta.name} ${meta.version}, of version ${version} of the provider`, provider: null, resources: {}, data: {} };
for (const name of used) {
  const folder = path.join(root, 'lib', name.replace(/^data-/, 'data-aws-').replaceAll('_', '-'));
  const block = read(folder);
  if (name === 'provider') schema.provider = block;
  else if (name.startsWith('data-')) schema.data[`aws_${name.slice(5)}`] = block;
  else schema.resources[`aws_${name}`] = block;
}
// A line for each, so that a change can be read.
const lines = (all) => Object.entries(all).map(([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)}`).join(',\n');
process.stdout.write(`{
 "source": ${JSON.stringify(schema.source)},
 "provider": ${JSON.stringify(schema.provider)},
 "resources": {\n${lines(schema.resources)}\n },
 "data": {\n${lines(schema.data)}\n }
}\n`);
