import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Bundles the plugin into one file that Node 20 runs without any package installed. The same sources and lockfile
 * give the same bytes, wherever the project lies and whatever `outfile` is called.
 * @param {string} outfile
 */
export async function bundle(outfile) {
  await build({
    absWorkingDir: root,
    entryPoints: ['src/main.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    // Its main file is UMD, whose requires cannot be bundled.
    alias: { 'jsonc-parser': 'jsonc-parser/lib/esm/main.js' },
    charset: 'utf8',
    legalComments: 'eof',
    logLevel: 'warning',
  });
}
