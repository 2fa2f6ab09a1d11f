import { signal } from '@preact/signals';
import DOMPurify from 'dompurify';
import { Marked, type TokenizerAndRendererExtension } from 'marked';
import remend from 'remend';

/** The tags that a model may write itself, without any attribute. Every other is shown as it is written. */
const PLAIN_TAG = /^<\/?(?:br|b|i|u|s|em|strong|mark|sub|sup|kbd|small|del|ins)\s*\/?>$/i;
const LANGUAGE = /^[\w+#.-]{1,30}$/;

/** Whether a text may have a formula in it. */
export const FORMULA = /\$|\\[([]/;

/** What sets formulas, once it is there: whoever has rendered one reads it, to render it again. */
export const typesetter = signal<typeof import('./maths').typeset | undefined>(undefined);
let loading: Promise<void> | undefined;

/** Formulas between $$ and $$, \[ and \], \( and \), or between dollars that cannot be those of prices. */
const BLOCK = /^ {0,3}(?:\$\$([^]+?)\$\$|\\\[([^]+?)\\\])[ \t]*(?:\n|$)/;
const INLINE = /^(?:\$\$([^]+?)\$\$|\\\[([^]+?)\\\]|\\\(([^]+?)\\\)|\$((?![\s$])(?:\\[^]|[^$\\\n])*?)(?<!\s)\$(?!\d))/;

function formula(level: 'block' | 'inline'): TokenizerAndRendererExtension {
  return {
    name: `${level}-formula`,
    level,
    start: (text) => text.search(level === 'block' ? /^ {0,3}(?:\$\$|\\\[)/m : FORMULA),
    tokenizer(text) {
      const found = (level === 'block' ? BLOCK : INLINE).exec(text);
      if (!found) return undefined;
      const display = found[1] ?? found[2];
      const tex = display ?? found[3] ?? found[4] ?? '';
      return tex.trim() ? { type: `${level}-formula`, raw: found[0], tex: tex.trim(), display: display !== undefined } : undefined;
    },
    renderer({ raw, tex, display }) {
      const set = typesetter.peek();
      loading ??= import('./maths').then(({ typeset }) => void (typesetter.value = typeset)).catch(() => void (loading = undefined));
      const html = set?.(tex as string, display as boolean) ?? source(raw.trim());
      return level === 'block' ? `<p>${html}</p>\n` : html;
    },
  };
}

/** source shows a formula as it was written. */
const source = (raw: string) => `<code class="tex">${escape(raw)}</code>`;

const marked = new Marked({
  gfm: true,
  extensions: [formula('block'), formula('inline')],
  renderer: {
    code({ text, lang }) {
      const language = LANGUAGE.exec(lang ?? '')?.[0] ?? '';
      const head = `<div class="code-head"><span>${language}</span><button type="button" class="copy">Copy</button></div>`;
      return `<div class="code">${head}<pre tabindex="0"><code${language ? ` class="language-${language}"` : ''}>${escape(text)}</code></pre></div>`;
    },
    html({ text }) {
      return PLAIN_TAG.test(text.trim()) ? text : escape(text);
    },
    checkbox({ checked }) {
      return `<span class="task">${checked ? '☑' : '☐'}</span> `;
    },
    // A picture from elsewhere would tell its server who reads this.
    image({ href, text }) {
      return `<a href="${escape(href)}">${escape(text || href)}</a>`;
    },
    table(token) {
      const cells = (row: typeof token.header, tag: string) =>
        row.map((cell) => `<${tag}${cell.align ? ` align="${cell.align}"` : ''}>${this.parser.parseInline(cell.tokens)}</${tag}>`).join('');
      const rows = token.rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('');
      return `<div class="table" tabindex="0"><table><thead><tr>${cells(token.header, 'th')}</tr></thead><tbody>${rows}</tbody></table></div>`;
    },
  },
});

/** Attributes of tables, code blocks and formulas, whose values are no addresses. */
const HARMLESS = (
  'align tabindex type display displaystyle scriptlevel mathvariant mathcolor mathbackground accent accentunder fence form largeop lspace rspace ' +
  'maxsize minsize movablelimits separator stretchy symmetric width height depth voffset linethickness columnspan rowspan'
).split(' ');

const purifier = DOMPurify();
// Once: to read it takes as long as to sanitise a block.
purifier.setConfig({
  USE_PROFILES: { html: true, mathMl: true },
  FORBID_TAGS: ['style', 'form', 'input', 'textarea', 'select', 'img', 'picture', 'video', 'audio', 'source', 'iframe', 'dialog'],
  FORBID_ATTR: ['style', 'id', 'name', 'srcset', 'background'],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|tel:|#)/i,
  ADD_URI_SAFE_ATTR: HARMLESS, // all others must look like such an address
});
purifier.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName === 'A') {
    node.setAttribute('target', '_blank');
    node.setAttribute('rel', 'noopener noreferrer nofollow');
  }
  // The only button is the one of code blocks.
  if (node.tagName === 'BUTTON' && node.className !== 'copy') node.remove();
});

/** render makes HTML that cannot run anything out of a model's Markdown. */
export function render(markdown: string): string {
  const html = marked.parse(markdown, { async: false });
  return purifier.sanitize(html);
}

/** renderTail is render for a text that is still being written: marks that are open are closed. */
export function renderTail(markdown: string): string {
  const at = openFormula(markdown);
  if (at < 0) return render(remend(markdown, CLOSED));
  // A formula is set when all of it is there: a half is none.
  const before = render(remend(markdown.slice(0, at), CLOSED));
  const rest = source(markdown.slice(at));
  return before.endsWith(PARAGRAPH) ? `${before.slice(0, -PARAGRAPH.length)} ${rest}${PARAGRAPH}` : `${before}<p>${rest}</p>`;
}

const PARAGRAPH = '</p>\n';
const CLOSED = { katex: false };

/** Code and formulas that are complete, a fence that is not, and the beginnings of formulas that are not. */
const PARTS = /(`+)[^]*?\1|^ {0,3}(?:```|~~~)[^]*|\$\$[^]*?\$\$|\\\[[^]*?\\\]|\\\([^]*?\\\)|(\$\$|\\[[(])/gm;

/** openFormula returns where a formula begins that is not complete, or -1. */
function openFormula(markdown: string): number {
  if (!FORMULA.test(markdown)) return -1;
  for (const { 2: open, index } of markdown.matchAll(PARTS)) if (open) return index;
  return -1;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
