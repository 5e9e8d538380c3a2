import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isConfiguration } from '../../src/domain/captured-image';
import { TarFilter } from '../../src/domain/tar-filter';
import { inScratch } from '../support/scratch';
import { assert, suite } from '../support/suite';
import { thrown } from '../support/thrown';

const filter = suite('tar filter');

const long = `app/${'d'.repeat(90)}/${'f'.repeat(120)}`;

/** A layer as a builder of images writes it, in a dialect of GNU tar. */
function layer(folder: string, format: 'gnu' | 'pax' | 'ustar'): Buffer {
  const files: Record<string, string> = {
    'app/.env': 'CANARY=1\n',
    'app/.env.example': 'kept\n',
    'app/config.ru': 'run\n'.repeat(1000),
    'tmp/env/CANARY': '1',
    [long]: 'long\n',
  };
  for (const [path, content] of Object.entries(files)) {
    if (format === 'ustar' && path === long) continue;
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  symlinkSync('config.ru', join(folder, 'app/link'));
  linkSync(join(folder, 'app/config.ru'), join(folder, 'app/same'));
  writeFileSync(join(folder, 'tmp/.wh.env'), '');
  return execFileSync('tar', ['--create', `--format=${format}`, '--sort=name', '-C', folder, '.'], {
    maxBuffer: 10 * 1024 * 1024,
  });
}

function through(archive: Buffer, unwanted: (path: string) => boolean, chunkBytes: number) {
  const watched = new TarFilter(unwanted);
  const pieces: Buffer[] = [];
  for (let at = 0; at < archive.length; at += chunkBytes) {
    for (const piece of watched.push(archive.subarray(at, at + chunkBytes))) pieces.push(Buffer.from(piece));
  }
  watched.end();
  return { dropped: watched.dropped, archive: Buffer.concat(pieces) };
}

function names(archive: Buffer): string[] {
  return execFileSync('tar', ['--list', '--file=-'], { input: archive }).toString().trim().split('\n');
}

for (const format of ['gnu', 'pax', 'ustar'] as const) {
  filter(`${format}: what is unwanted goes, all else stays, however the stream is cut into chunks`, () =>
    inScratch((folder) => {
      const archive = layer(folder, format);
      const wanted = names(archive).filter((name) => !['./app/.env', './tmp/env/CANARY'].includes(name));
      for (const chunkBytes of [1, 511, 512, 513, 65_536]) {
        const left = through(archive, isConfiguration, chunkBytes);
        assert.is(left.dropped, true);
        assert.equal(names(left.archive), wanted);
        assert.is(left.archive.includes('CANARY'), false);
      }
    }),
  );

  filter(`${format}: an archive without any of it keeps each of its bytes`, () =>
    inScratch((folder) => {
      const archive = layer(folder, format);
      const left = through(archive, (path) => path === 'app/other', 700);
      assert.is(left.dropped, false);
      assert.ok(left.archive.equals(archive));
    }),
  );
}

filter('a long name is known whole, and goes with its own header', () =>
  inScratch((folder) => {
    for (const format of ['gnu', 'pax'] as const) {
      const archive = layer(join(folder, format), format);
      const left = through(archive, (path) => path === long, 512);
      assert.equal(
        names(left.archive),
        names(archive).filter((name) => name !== `./${long}`),
      );
    }
  }),
);

filter('what is cut, or is no tar, is an error', () =>
  inScratch((folder) => {
    const archive = layer(folder, 'pax');
    thrown(() => through(archive.subarray(0, 700), isConfiguration, 512), Error);
    thrown(() => through(Buffer.alloc(1024, 'x'), isConfiguration, 512), Error);
  }),
);

filter.run();
