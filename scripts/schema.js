import { build } from 'esbuild';
import { root } from './bundle.js';

export const schemaFile = 'docs/flight-launch.schema.json';

/**
 * The published JSON Schema of `flight-launch.json`, made from the one that validates it.
 * @returns {Promise<string>} the text of the file
 */
export async function schemaText() {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['src/domain/configuration.ts'],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    logLevel: 'warning',
  });
  const code = Buffer.from(outputFiles[0]?.contents ?? []).toString('base64');
  /** @type {unknown} */
  const module = await import(`data:text/javascript;base64,${code}`);
  const { configurationJsonSchema } = /** @type {{ configurationJsonSchema: () => unknown }} */ (module);
  return `${JSON.stringify(configurationJsonSchema(), undefined, 2)}\n`;
}
