// Loaded when there is code to colour, and not before.
import hljs from 'highlight.js/lib/common';

/** highlight colours the code blocks below a node that have not been yet. */
export function highlight(node: HTMLElement): void {
  for (const code of node.querySelectorAll<HTMLElement>('pre code[class^="language-"]:not([data-highlighted])')) {
    const language = code.className.slice('language-'.length);
    if (code.textContent.length < 100_000 && hljs.getLanguage(language)) hljs.highlightElement(code);
    else code.dataset['highlighted'] = 'no';
  }
}
