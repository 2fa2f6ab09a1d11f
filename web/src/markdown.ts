import DOMPurify from 'dompurify';
import { Marked } from 'marked';
import remend from 'remend';

/** The tags that a model may write itself, without any attribute. Every other is shown as it is written. */
const PLAIN_TAG = /^<\/?(?:br|b|i|u|s|em|strong|mark|sub|sup|kbd|small|del|ins)\s*\/?>$/i;
const LANGUAGE = /^[\w+#.-]{1,30}$/;

const marked = new Marked({
  gfm: true,
  renderer: {
    code({ text, lang }) {
      const language = LANGUAGE.exec(lang ?? '')?.[0] ?? '';
      const head = `<div class="code-head"><span>${language}</span><button type="button" class="copy">Copy</button></div>`;
      return `<div class="code">${head}<pre tabindex="0"><code${language ? ` class="language-${language}"` : ''}>${escape(text)}</code></pre></div>`;
    },
    html({ text }) {
      return PLAIN_TAG.test(text.trim()) ? text : escape(text);
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

const purifier = DOMPurify();
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
  return purifier.sanitize(html, {
    USE_PROFILES: { html: true },
    FORBID_TAGS: ['style', 'form', 'input', 'textarea', 'select', 'img', 'picture', 'video', 'audio', 'source', 'iframe', 'dialog'],
    FORBID_ATTR: ['style', 'id', 'name', 'srcset', 'background'],
    ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|tel:|#)/i,
  });
}

/** renderTail is render for a text that is still being written: marks that are open are closed. */
export function renderTail(markdown: string): string {
  return render(remend(markdown));
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
