function icon(d: string) {
  return () => (
    <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">
      <path d={d} />
    </svg>
  );
}

export const Bars = icon('M4 6h16M4 12h16M4 18h16');
export const Panel = icon('M4 5h16v14H4zM15 5v14');
export const Plus = icon('M12 5v14M5 12h14');
export const Trash = icon('M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13');
export const Send = icon('M12 19V5M6 11l6-6 6 6');
export const Stop = icon('M6 6h12v12H6z');
export const Again = icon('M20 11a8 8 0 1 0-2 6M20 5v6h-6');
export const Edit = icon('M4 20h4L19 9l-4-4L4 16zM13 7l4 4');
export const Down = icon('M12 5v14M6 13l6 6 6-6');
export const Done = icon('M5 13l4 4L19 7');
export const Copy = icon('M9 9h11v11H9zM15 9V4H4v11h5');

/** Mark is the picture of Runnel: two streams. */
export const Mark = () => (
  <svg class="mark" viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
    <rect width="32" height="32" rx="8" fill="var(--brand)" />
    <path d="M6 11c4 0 4 4 8 4s4-4 8-4 4 2 4 2M6 19c4 0 4 4 8 4s4-4 8-4 4 2 4 2" fill="none" stroke="#fff" stroke-width="2.6" stroke-linecap="round" />
  </svg>
);
