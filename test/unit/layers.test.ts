import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { assert, suite } from '../support/suite';

// The modules below exist only here, so the rules that need types are off; those for the layers need none.
const eslint = new ESLint({
  overrideConfig: [
    tseslint.configs.disableTypeChecked,
    { files: ['**/*.ts'], languageOptions: { parserOptions: { projectService: false } } },
  ],
});

async function complaints(file: string, code: string): Promise<string[]> {
  const results = await eslint.lintText(`${code}\n`, { filePath: file });
  const rules = ['no-restricted-imports', 'no-restricted-syntax', 'no-restricted-globals', 'no-console'];
  return results
    .flatMap(({ messages }) => messages)
    .filter(({ ruleId, fatal }) => fatal === true || rules.some((rule) => ruleId?.endsWith(rule)))
    .map(({ message }) => message);
}

const test = suite('layers');

const refused: [file: string, code: string, complaint: RegExp][] = [
  ['src/domain/x.ts', `import { run } from '../adapters/process'; run();`, /Take the adapter as an argument/],
  ['src/domain/x.ts', `export { run } from '../adapters/process';`, /Take the adapter as an argument/],
  ['src/domain/deep/x.ts', `import { run } from '../../adapters/process'; run();`, /Take the adapter/],
  ['src/domain/x.ts', `import { list } from '../commands/list'; list();`, /Only the entry imports commands/],
  ['src/domain/x.ts', `import { readFileSync } from 'node:fs'; readFileSync('');`, /The domain is pure/],
  ['src/domain/x.ts', `import { readFileSync } from 'fs'; readFileSync('');`, /The domain is pure/],
  ['src/domain/x.ts', `import { readFile } from 'node:fs/promises'; readFile('');`, /The domain is pure/],
  ['src/domain/x.ts', `import { spawn } from 'node:child_process'; spawn('');`, /The domain is pure/],
  ['src/domain/x.ts', `import pino from 'pino'; pino();`, /Of packages the domain uses/],
  ['src/domain/x.ts', `export const home = process.env.HOME;`, /The domain is pure/],
  ['src/domain/x.ts', `export const now = Date.now();`, /no clock/],
  ['src/domain/x.ts', `export const now = new Date();`, /no clock/],
  ['src/domain/x.ts', `export const dice = Math.random();`, /nothing to chance/],
  ['src/domain/x.ts', `import { randomUUID } from 'node:crypto'; randomUUID();`, /nothing to chance/],
  ['src/domain/x.ts', `export const fs = await import('node:fs');`, /Import by declaration/],
  [
    'src/commands/x.ts',
    `import { run } from '../adapters/process'; run();`,
    /Take the adapter as an argument/,
  ],
  ['src/hooks/x.ts', `import { run } from '../adapters/process'; run();`, /Take the adapter as an argument/],
  ['src/hooks/x.ts', `import { wire } from '../wiring'; wire();`, /nothing below imports it/],
  ['src/commands/x.ts', `process.exit(1);`, /Only src\/main.ts ends the process/],
  ['src/commands/x.ts', `process.exitCode = 1;`, /Only src\/main.ts ends the process/],
  ['src/commands/x.ts', `process['exit'](1);`, /Only src\/main.ts ends the process/],
  ['src/commands/x.ts', `const { exit } = process; exit(1);`, /Only src\/main.ts ends the process/],
  ['src/commands/x.ts', `import { exit } from 'node:process'; exit(1);`, /Use the global `process`/],
  ['src/commands/x.ts', `console.log(1);`, /Unexpected console/],
  [
    'src/adapters/x.ts',
    `import { list } from '../commands/list'; list();`,
    /Only the entry imports commands/,
  ],
  [
    'src/adapters/x.ts',
    `import { deploy } from '../hooks/deploy'; deploy();`,
    /Only the entry imports commands/,
  ],
  [
    'src/adapters/x.ts',
    `import { spawn } from 'node:child_process'; spawn('');`,
    /one module that starts processes/,
  ],
  ['src/adapters/x.ts', `import { execa } from 'execa'; execa('');`, /one module that starts processes/],
  ['src/wiring.ts', `process.exit(1);`, /Only src\/main.ts ends the process/],
  ['src/helpers.ts', `export const one = 1;`, /belongs in a layer/],
  ['src/helpers/x.ts', `export const one = 1;`, /belongs in a layer/],
];

for (const [file, code, complaint] of refused) {
  test(`${file} may not hold: ${code}`, async () => {
    const found = await complaints(file, code);
    assert.ok(
      found.some((message) => complaint.test(message)),
      `expected ${String(complaint)} among ${JSON.stringify(found)}`,
    );
  });
}

const accepted: [file: string, code: string][] = [
  ['src/domain/x.ts', `import { join } from 'node:path/posix'; join('', '');`],
  ['src/domain/x.ts', `import { createHash } from 'node:crypto'; createHash('sha256');`],
  ['src/domain/x.ts', `import type { Readable } from 'node:stream'; export type Source = Readable;`],
  ['src/domain/x.ts', `import { z } from 'zod'; z.string();`],
  ['src/domain/x.ts', `import { parseTree } from 'jsonc-parser'; parseTree('');`],
  ['src/domain/deep/x.ts', `import { UserError } from '../errors'; new UserError();`],
  ['src/domain/x.ts', `export const at = (seconds: number) => new Date(seconds * 1000);`],
  ['src/commands/x.ts', `import { plan } from '../domain/plan'; plan();`],
  ['src/adapters/x.ts', `import { run } from './process'; run();`],
  ['src/adapters/x.ts', `import type { Source } from '../domain/ports'; export type Mine = Source;`],
  ['src/adapters/process.ts', `import { execa } from 'execa'; execa('');`],
  ['src/wiring.ts', `import { run } from './adapters/process'; run();`],
  ['src/main.ts', `import { wire } from './wiring'; wire(); process.exitCode = 1;`],
];

for (const [file, code] of accepted) {
  test(`${file} may hold: ${code}`, async () => {
    assert.equal(await complaints(file, code), []);
  });
}

test.run();
