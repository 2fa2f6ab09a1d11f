import { render } from 'preact';

import { App } from './app';
import './style.css';

render(<App />, document.getElementById('app')!);

if ('serviceWorker' in navigator && import.meta.env.PROD) {
  // Without it the page is only not there when the network is not.
  navigator.serviceWorker.register('/worker.js').catch(() => {});
}
