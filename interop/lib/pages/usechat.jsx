// What somebody's page has who uses the AI SDK, and nothing more.
import { useChat } from '@ai-sdk/react';
import { DefaultChatTransport } from 'ai';
import { createRoot } from 'react-dom/client';
import { useState } from 'react';

const { api, id, messages } = globalThis.page;

function Chat() {
  const [input, setInput] = useState('');
  const chat = useChat({ id, messages, resume: true, transport: new DefaultChatTransport({ api }) });
  return (
    <main>
      {chat.messages.map((message) => (
        <p key={message.id} className={message.role}>
          {message.parts.map((part) => (part.type === 'text' ? part.text : '')).join('')}
        </p>
      ))}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          chat.sendMessage({ text: input });
          setInput('');
        }}
      >
        <input value={input} onChange={(event) => setInput(event.target.value)} />
      </form>
      <button
        onClick={() => {
          chat.stop();
          fetch(`${api}/${id}/stop`, { method: 'POST' });
        }}
      >
        Stop
      </button>
      <output>{chat.error ? `error: ${chat.error.message}` : chat.status}</output>
    </main>
  );
}

createRoot(document.getElementById('root')).render(<Chat />);
