const factors: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** Bytes of a size such as `512m`, `2g` or `1048576`, or undefined where it is none. Units are powers of 1024. */
export function parseBytes(text: string): number | undefined {
  const match = /^([1-9][0-9]{0,14})([kmg]?)b?$/i.exec(text);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * (factors[(match[2] ?? '').toLowerCase()] ?? 1);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

const seconds: Record<string, number> = { '': 1, s: 1, m: 60, h: 3600 };

/** Seconds of a duration such as `900`, `90s`, `15m` or `1h`, or undefined where it is none. */
export function parseDuration(text: string): number | undefined {
  const match = /^([1-9][0-9]{0,6})([smh]?)$/i.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * (seconds[(match[2] ?? '').toLowerCase()] ?? 1);
}

/** A limit as people write it: `5m`, `90s`. */
export function formatLimit(milliseconds: number): string {
  const whole = Math.ceil(milliseconds / 1000);
  if (whole % 3600 === 0) return `${String(whole / 3600)}h`;
  return whole % 60 === 0 ? `${String(whole / 60)}m` : `${String(whole)}s`;
}

/** `1.4 MB`, for people; powers of 1024. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  for (const unit of ['B', 'kB', 'MB', 'GB']) {
    if (value < 1024 || unit === 'GB')
      return unit === 'B' ? `${String(value)} B` : `${value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${String(bytes)} B`;
}

/** `0.8 s`, `42 s`, `3 min 5 s`; for people. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 10_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const whole = Math.round(milliseconds / 1000);
  if (whole < 60) return `${String(whole)} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${String(minutes)} min ${String(whole % 60)} s`
    : `${String(Math.floor(minutes / 60))} h ${String(minutes % 60)} min`;
}

/** `1 file`, `2 files`; for people. */
export function formatCount(count: number, noun: string): string {
  return `${String(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** `3 minutes ago`; both in milliseconds since the epoch. A clock that jumped back yields `just now` (F39). */
export function formatAge(now: number, then: number): string {
  const age = Math.floor((now - then) / 1000);
  if (age < 60) return 'just now';
  const [count, unit] =
    age < 3600
      ? [Math.floor(age / 60), 'minute']
      : age < 86_400
        ? [Math.floor(age / 3600), 'hour']
        : [Math.floor(age / 86_400), 'day'];
  return `${formatCount(count, unit)} ago`;
}
