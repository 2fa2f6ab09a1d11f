/** What sort of failure an error is. */
export type Kind =
  | 'invalid'
  | 'unauthenticated'
  | 'denied'
  | 'not_found'
  | 'conflict'
  | 'gone'
  | 'limited'
  | 'unavailable'
  | 'cancelled'
  | 'internal';

/** A failure that the gateway has told, or that it could not be reached. */
export class RunnelError extends Error {
  override readonly name = 'RunnelError';

  constructor(
    readonly kind: Kind,
    message: string,
    /** The HTTP status, if there was one. */
    readonly status?: number,
    /** How long the gateway asks to wait, in milliseconds. */
    readonly retryAfter = 0,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** Whether the same request may succeed later. */
  get temporary(): boolean {
    if (this.status !== undefined) return this.status >= 500 || this.status === 408 || this.status === 429;
    return this.kind === 'unavailable' || this.kind === 'limited' || this.kind === 'internal';
  }
}

const KINDS: Record<number, Kind> = {
  401: 'unauthenticated',
  403: 'denied',
  404: 'not_found',
  409: 'conflict',
  410: 'gone',
  429: 'limited',
};

/** errorOf reads the failure out of a response. One that is not the gateway's, perhaps a proxy's, is told by its status. */
export async function errorOf(response: Response): Promise<RunnelError> {
  const kind = KINDS[response.status] ?? (response.status >= 500 ? 'unavailable' : 'invalid');
  const wait = retryAfter(response.headers.get('retry-after'));
  try {
    const { error } = (await response.json()) as { error: { kind: Kind; message: string } };
    return new RunnelError(error.kind, error.message, response.status, wait);
  } catch {
    return new RunnelError(kind, `the gateway answered ${response.status} ${response.statusText}`.trim(), response.status, wait);
  }
}

/** unreachable is the failure of a request that got no answer, or only a part of it. */
export function unreachable(cause: unknown): RunnelError {
  return new RunnelError('unavailable', 'the gateway cannot be reached', undefined, 0, { cause });
}

/** retryAfter reads the header field of that name: seconds, or a date. */
function retryAfter(value: string | null): number {
  if (!value) return 0;
  const seconds = Number(value);
  const wait = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(wait) ? Math.max(wait, 0) : 0;
}
