import { effect, signal, untracked } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import { Chat } from './chat';
import { Conversation } from './conversation';
import { conversations, fresh } from './conversations';
import { Drawer } from './drawer';
import { loadModels, signedOut } from './gateway';
import { Bars, Mark, Panel } from './icons';
import { user } from './identity';
import { drawer, transport } from './settings';
import { Sidebar } from './sidebar';
import { SignIn } from './signin';

const id = signal(idOf(location.hash));
const conversation = signal<Conversation | undefined>(undefined);
const menu = signal(false);

function idOf(hash: string): string {
  try {
    return decodeURIComponent(hash.slice(1)) || fresh();
  } catch {
    return fresh();
  }
}

/** show opens a conversation; its address can be shared and reloaded. */
export function show(next: string): void {
  menu.value = false;
  if (idOf(location.hash) !== next) location.hash = encodeURIComponent(next);
  id.value = next;
}

addEventListener('hashchange', () => (id.value = idOf(location.hash)));

// A conversation is opened anew when the way to it changes.
effect(() => {
  void transport.value;
  void user.value;
  const old = conversation.peek();
  const now = id.value;
  conversation.value = untracked(() => new Conversation(now)); // which reads what may change without harm
  old?.close();
});

export function App() {
  useEffect(() => void loadModels(), [user.value]);
  useEffect(() => {
    if (!location.hash) history.replaceState(null, '', `#${encodeURIComponent(id.value)}`);
  }, [id.value]);
  const current = conversation.value!;
  const title = conversations.value.find((entry) => entry.id === current.id)?.title ?? '';
  useEffect(() => {
    document.title = title ? `${title} – Runnel` : 'Runnel';
  }, [title]);
  return (
    <div class={`app${drawer.value ? ' with-drawer' : ''}`}>
      <a class="skip" href="#prompt" onClick={(event) => (event.preventDefault(), document.getElementById('prompt')?.focus())}>
        Skip to the prompt
      </a>
      <header>
        <button type="button" class="icon only-narrow" aria-label="Conversations" aria-expanded={menu.value} onClick={() => (menu.value = !menu.value)}>
          <Bars />
        </button>
        <Mark />
        <h1>Runnel</h1>
        <span class="about">
          <bdi>{title}</bdi>
        </span>
        <button type="button" class="icon" aria-label="Events" title="Events" aria-pressed={drawer.value} onClick={() => (drawer.value = !drawer.value)}>
          <Panel />
        </button>
      </header>
      <Sidebar current={id.value} open={menu.value} onClose={() => (menu.value = false)} />
      <Chat key={current.id} conversation={current} />
      {drawer.value && <Drawer conversation={current} />}
      {signedOut.value && <SignIn />}
    </div>
  );
}
