import { spawnSync } from 'node:child_process';
import { closeSync, lstatSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle, root } from './bundle.js';
import { schemaFile, schemaText } from './schema.js';

/**
 * Runs every check, prints one line for each and the output of those that fail.
 * @returns {Promise<number>} how many failed
 */
export async function runChecks() {
  /** @type {[name: string, check: () => string | Promise<string>][]} */
  const checks = [
    ['types', () => output('tsc', ['--noEmit'])],
    ['lint', () => output('eslint', ['--max-warnings', '0', '.'])],
    ['format', () => output('prettier', ['--check', '--log-level', 'warn', '.'])],
    ['shellcheck', () => output('shellcheck', ['-x', '-P', 'SCRIPTDIR', '--', ...shellFiles()])],
    ['shfmt', () => output('shfmt', ['-d', '-i', '2', '-ci', ...shellFiles()])],
    ['bundle is current', staleBundle],
    ['schema is current', staleSchema],
  ];
  let failed = 0;
  for (const [name, check] of checks) {
    const complaint = await outcome(check);
    console.log(`${complaint === '' ? 'ok  ' : 'FAIL'}  ${name}`);
    if (complaint === '') continue;
    failed += 1;
    console.log(complaint.trimEnd().replaceAll(/^/gm, '    '));
  }
  return failed;
}

/**
 * @param {() => string | Promise<string>} check
 * @returns {Promise<string>} the complaint, empty where there is none
 */
async function outcome(check) {
  try {
    return await check();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Runs a tool in the root of the project.
 * @param {string} tool
 * @param {string[]} args
 * @returns {string} what it printed if it failed, else nothing
 */
function output(tool, args) {
  const { error, status, signal, stdout, stderr } = spawnSync(tool, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error) {
    const missing = /** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT';
    return missing ? `${tool} is not installed (on Debian: apt-get install ${tool})` : error.message;
  }
  if (status === 0) return '';
  return `${stdout}${stderr}` || `${tool} ended with ${signal ?? `status ${status}`}`;
}

/**
 * Shell files by their first line, or by their shellcheck directive where they are only sourced, among those that git
 * tracks or would track.
 * @returns {string[]} paths relative to the root of the project
 */
function shellFiles() {
  const { status, stdout, stderr } = spawnSync(
    'git',
    // A checkout may belong to another user than the one that runs the checks (root in CI).
    [
      '-c',
      'safe.directory=*',
      'ls-files',
      '-z',
      '--cached',
      '--others',
      '--exclude-standard',
      '--deduplicate',
    ],
    { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  if (status !== 0) throw new Error(`git ls-files failed: ${stderr}`);
  return stdout.split('\0').filter((path) => {
    const info = path === '' ? undefined : lstatSync(join(root, path), { throwIfNoEntry: false });
    return (
      info?.isFile() === true &&
      /^(?:#!.*[/ ]|# shellcheck shell=)(?:sh|bash|dash)\b/.test(firstBytes(join(root, path)))
    );
  });
}

/** @param {string} path */
function firstBytes(path) {
  const buffer = Buffer.alloc(128);
  const file = openSync(path, 'r');
  try {
    return buffer.toString('latin1', 0, readSync(file, buffer)).split('\n', 1)[0] ?? '';
  } finally {
    closeSync(file);
  }
}

async function staleBundle() {
  const folder = mkdtempSync(join(tmpdir(), 'flight-launch-bundle-'));
  try {
    const fresh = join(folder, 'flight-launch.cjs');
    await bundle(fresh);
    const current = readFileSync(join(root, 'build/flight-launch.cjs'));
    return current.equals(readFileSync(fresh))
      ? ''
      : 'build/flight-launch.cjs differs: run `npm run build` and commit it';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function staleSchema() {
  const current = readFileSync(join(root, schemaFile), 'utf8');
  return current === (await schemaText()) ? '' : `${schemaFile} differs: run \`npm run build\` and commit it`;
}
