import { useEffect, useRef } from 'preact/hooks';

import { show } from './app';
import { conversations, forget, fresh } from './conversations';
import { models } from './gateway';
import { Plus, Trash } from './icons';
import { session, signOut, user } from './identity';
import { model, theme, transport, type Theme, type TransportName } from './settings';

export function Sidebar({ current, open, onClose }: { current: string; open: boolean; onClose: () => void }) {
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    if (open) nav.current?.querySelector('button')?.focus();
  }, [open]);
  return (
    <nav ref={nav} class={open ? 'sidebar open' : 'sidebar'} aria-label="Conversations" onKeyDown={(event) => event.key === 'Escape' && onClose()}>
      <button type="button" class="wide" onClick={() => show(fresh())}>
        <Plus /> New conversation
      </button>
      <h2 class="hidden">Conversations</h2>
      <ul>
        {conversations.value.length === 0 && <li class="hint">What you ask is listed here, in this browser only.</li>}
        {conversations.value.map(({ id, title }) => (
          <li key={id}>
            <a href={`#${encodeURIComponent(id)}`} aria-current={id === current ? 'page' : undefined} dir="auto" onClick={onClose}>
              {title || 'Untitled'}
            </a>
            <button
              type="button"
              class="icon remove"
              title="Remove from this list"
              aria-label={`Remove ${title || 'Untitled'} from this list`}
              onClick={() => {
                forget(id);
                if (id === current) show(fresh());
              }}
            >
              <Trash />
            </button>
          </li>
        ))}
      </ul>
      <Settings />
    </nav>
  );
}

function Settings() {
  return (
    <form class="settings" onSubmit={(event) => event.preventDefault()}>
      {models.value.length > 1 && (
        <label>
          Model
          <select value={model.value} onChange={({ currentTarget }) => (model.value = currentTarget.value)}>
            <option value="">The default</option>
            {models.value.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      )}
      <label>
        Transport
        <select value={transport.value} onChange={({ currentTarget }) => (transport.value = currentTarget.value as TransportName)}>
          <option value="sse">Server-sent events</option>
          <option value="websocket">WebSocket</option>
          <option value="graphql">AppSync GraphQL</option>
        </select>
      </label>
      <label>
        Theme
        <select value={theme.value} onChange={({ currentTarget }) => (theme.value = currentTarget.value as Theme)}>
          <option value="auto">As the system</option>
          <option value="light">Light</option>
          <option value="dark">Dark</option>
        </select>
      </label>
      {user.value && (
        <p class="who">
          <span title={session.value?.name}>{session.value?.name ?? 'With a key'}</span>
          <button type="button" onClick={signOut}>
            Sign out
          </button>
        </p>
      )}
    </form>
  );
}
