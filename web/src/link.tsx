import { useSignal, type Signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import type { Link } from './conversation';

/** How long it is told that the connection is back, in ms. */
const TOLD = 4000;

/** LinkState tells when the connection is lost, and how it came back. */
export function LinkState({ link }: { link: Signal<Link> }) {
  const now = useSignal(Date.now());
  const { value } = link;
  useEffect(() => {
    if (value.state === 'lost') {
      const timer = setInterval(() => (now.value = Date.now()), 250);
      return () => clearInterval(timer);
    }
    if (value.state !== 'back') return;
    const timer = setTimeout(() => (link.value = { state: 'live' }), TOLD);
    return () => clearTimeout(timer);
  }, [value]);
  return (
    <div class={`link ${value.state}`} role="status">
      {say(value, now.value)}
    </div>
  );
}

function say(link: Link, now: number): string {
  switch (link.state) {
    case 'lost': {
      const seconds = Math.ceil((link.until - now) / 1000);
      const next = seconds > 0 ? `next try in ${seconds} s` : 'trying now';
      return navigator.onLine ? `Not connected: ${link.why}; ${next}` : `You are offline; ${next}`;
    }
    case 'back':
      return `Connected again: went on after ${link.from}, nothing is missing`;
    case 'refused':
      return `This conversation cannot be shown: ${link.why}`;
    default:
      return '';
  }
}
