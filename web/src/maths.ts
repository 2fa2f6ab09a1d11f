// Loaded when an answer has a formula, and not before.
import temml from 'temml';

/** A formula that is longer is shown as it was written. */
const MAX = 4000;
/** How many formulas are remembered: the tail of an answer is rendered often. */
const REMEMBERED = 500;

const known = new Map<string, string | undefined>();

/** typeset returns MathML, which is yet to be sanitised; undefined for what is no formula. */
export function typeset(tex: string, display: boolean): string | undefined {
  const key = `${display}${tex}`;
  if (!known.has(key)) {
    if (known.size === REMEMBERED) known.clear();
    known.set(key, attempt(tex, display));
  }
  return known.get(key);
}

function attempt(tex: string, display: boolean): string | undefined {
  if (tex.length > MAX) return undefined;
  try {
    const tree = temml.__renderToMathMLTree(tex, {
      displayMode: display,
      throwOnError: true,
      trust: false, // no links, pictures, classes and styles that a model names
      maxSize: [20, 20],
      maxExpand: 200,
    }) as Node;
    plain(tree);
    return tree.toMarkup();
  } catch {
    return undefined;
  }
}

interface Node {
  style?: Record<string, string>;
  attributes?: Record<string, string>;
  children?: Node[];
  toMarkup(): string;
}

/** plain takes the inline styles away, which the page's policy forbids, and keeps their colours. The style sheet does the rest. */
function plain(node: Node): void {
  const { color } = node.style ?? {};
  if (color && node.attributes) node.attributes['mathcolor'] = color;
  if (node.style) node.style = {};
  node.children?.forEach(plain);
}
