import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { UserError } from '../domain/errors';

const maxBytes = 64 * 1024;

/**
 * Everything that comes by a stream until its end.
 * @param timeoutMs for all of it: nobody may be there to send anything
 * @throws UserError where it is empty, larger than 64 KiB, or has no end in time
 */
export async function readInput(stream: Readable, timeoutMs = 60_000): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  const late = new UserError(`standard input had no end within ${timeoutMs / 1000} s`, {
    remedy: 'Send a file: `ssh HOST flight-launch:… < FILE`.',
  });
  const timer = setTimeout(() => stream.destroy(late), timeoutMs);
  try {
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBytes) chunks.push(chunk);
      else stream.destroy(new UserError(`standard input is larger than ${maxBytes / 1024} KiB`));
    });
    await once(stream, 'end');
  } finally {
    clearTimeout(timer);
    // What is still to come must not keep us from ending.
    stream.destroy();
  }
  if (size === 0) {
    throw new UserError('standard input is empty', {
      remedy: 'Send a file: `ssh HOST flight-launch:… < FILE`.',
    });
  }
  return Buffer.concat(chunks).toString();
}
