import { useSignal, type Signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import type { Link } from './conversation';

/** How long it is told that the connection is back, in ms. */
const TOLD = 4000;

/** LinkState tells when the connection is lost, and how it came back. */
export function LinkState({ link }: { link: Signal<Link> }) {
  const now = useSignal(Date.now());
  const offline = useSignal(!navigator.onLine);
  const { value } = link;
  useEffect(() => {
    const look = () => (offline.value = !navigator.onLine);
    addEventListener('online', look);
    addEventListener('offline', look);
    return () => {
      removeEventListener('online', look);
      removeEventListener('offline', look);
    };
  }, []);
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
    <div class={`link ${offline.value ? 'lost' : value.state}`} role="status">
      {say(value, now.value, offline.value)}
    </div>
  );
}

function say(link: Link, now: number, offline: boolean): string {
  switch (link.state) {
    case 'lost': {
      const seconds = Math.ceil((link.until - now) / 1000);
      const next = seconds > 0 ? `next try in ${seconds} s` : 'trying now';
      return offline ? `You are offline; ${next}` : `Not connected: ${link.why}; ${next}`;
    }
    case 'back':
      return `Connected again: went on after ${link.from}, nothing is missing`;
    case 'refused':
      return `This conversation cannot be shown: ${link.why}`;
    default:
      return offline ? 'You are offline' : '';
  }
}
