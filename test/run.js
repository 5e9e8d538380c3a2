/**
 * Runs test files, each in a process of its own, and judges them by what they report.
 *
 *     node test/run.js [unit] [e2e] [--dir FOLDER] [--jobs N] [--time-limit SECONDS] [PATTERN…]
 *
 * A PATTERN picks the files whose path contains it. The last line is `N passed, N failed`; the exit status is 1 if
 * anything failed or nothing ran.
 */
import { build } from 'esbuild';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/**
 * @typedef {import('./support/suite').SuiteReport} SuiteReport
 * @typedef {{ passed: number, failed: number }} Totals
 * @typedef {{ folders: { path: string, deep: boolean }[], jobs: number, timeLimit: number }} Group
 * @typedef {{ code: number | null, signal: NodeJS.Signals | null, timedOut: boolean, output: string }} Ended
 */

const root = fileURLToPath(new URL('..', import.meta.url));

/** @type {Record<'unit' | 'e2e', Group>} */
const groups = {
  unit: {
    folders: [
      { path: 'test/unit', deep: true },
      { path: 'test/runner', deep: false },
    ],
    jobs: Math.min(4, availableParallelism()),
    timeLimit: 60,
  },
  e2e: { folders: [{ path: 'test/e2e', deep: false }], jobs: 2, timeLimit: 20 * 60 },
};

const shownOutput = 64 * 1024;
const graceMs = 20_000;

/** Process groups that are still running, by the pid of their leader. @type {Set<number>} */
const running = new Set();
let interrupted = false;

/**
 * @param {string[]} argv
 * @returns {Promise<Totals>}
 */
export async function runTests(argv) {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { dir: { type: 'string' }, jobs: { type: 'string' }, 'time-limit': { type: 'string' } },
  });
  const chosen = /** @type {('unit' | 'e2e')[]} */ (positionals.filter((word) => word in groups));
  const patterns = positionals.filter((word) => !(word in groups));
  const limits = {
    jobs: positive(values.jobs, '--jobs'),
    timeLimit: positive(values['time-limit'], '--time-limit'),
  };

  /** @type {Group[]} */
  const plan =
    values.dir === undefined
      ? (chosen.length > 0 ? chosen : /** @type {const} */ (['unit', 'e2e'])).map((name) => groups[name])
      : [{ ...groups.unit, folders: [{ path: values.dir, deep: true }] }];

  /** @type {Totals} */
  const totals = { passed: 0, failed: 0 };
  /** @type {string[]} */
  const failedFiles = [];
  const found = plan.map((group) => ({ ...group, files: group.folders.flatMap(testFiles).sort() }));
  const all = found.flatMap(({ files }) => files);
  for (const pattern of patterns) {
    if (all.some((file) => file.includes(pattern))) continue;
    console.log(`No test file matches "${pattern}".`);
    totals.failed += 1;
  }

  const cache = join(root, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'test-'));
  try {
    for (const group of found) {
      const files = group.files.filter(
        (file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)),
      );
      await inParallel(files, limits.jobs ?? group.jobs, async (file) => {
        const result = await runFile(file, work, limits.timeLimit ?? group.timeLimit);
        totals.passed += result.passed;
        totals.failed += result.failed;
        if (result.failed > 0) failedFiles.push(`${file} (${result.failed})`);
      });
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }

  // What failed early is far above by now.
  if (failedFiles.length > 0) console.log(`Failed: ${failedFiles.join(', ')}`);
  if (interrupted) {
    console.log('Interrupted.');
    totals.failed += 1;
  } else if (totals.passed + totals.failed === 0) {
    console.log('No test was found.');
    totals.failed += 1;
  }
  return totals;
}

/**
 * @param {{ path: string, deep: boolean }} folder
 * @returns {string[]} paths relative to the root of the project
 */
function testFiles({ path, deep }) {
  const folder = resolve(root, path);
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: deep, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => relative(root, join(folder, name)));
}

/**
 * @param {string} file
 * @param {string} work folder for the bundle and the report
 * @param {number} timeLimit in seconds
 * @returns {Promise<Totals>}
 */
async function runFile(file, work, timeLimit) {
  const started = Date.now();
  const name = file.replaceAll(/[^\w.-]/g, '_');
  const script = join(work, `${name}.mjs`);
  const reportFile = join(work, `${name}.json`);

  try {
    // Packages stay outside the bundle and are found because the folder lies below the project's node_modules.
    await build({
      absWorkingDir: root,
      entryPoints: [resolve(root, file)],
      outfile: script,
      bundle: true,
      platform: 'node',
      target: 'node20',
      format: 'esm',
      packages: 'external',
      sourcemap: 'inline',
      logLevel: 'silent',
    });
  } catch (error) {
    return tell(
      file,
      started,
      0,
      [`cannot be bundled: ${error instanceof Error ? error.message : String(error)}`],
      '',
    );
  }

  const ended = await runScript(script, reportFile, timeLimit);
  const reports = existsSync(reportFile)
    ? /** @type {SuiteReport[]} */ (JSON.parse(readFileSync(reportFile, 'utf8')))
    : undefined;
  const passed = (reports ?? []).reduce((sum, report) => sum + report.passed, 0);
  return tell(file, started, passed, problems(ended, reports, timeLimit), ended.output);
}

/**
 * @param {string} script
 * @param {string} reportFile
 * @param {number} timeLimit in seconds
 * @returns {Promise<Ended>}
 */
function runScript(script, reportFile, timeLimit) {
  return new Promise((settle, reject) => {
    // A session of its own: what a test starts can be ended with it, and nothing of it can ask on our terminal.
    const child = spawn(process.execPath, ['--enable-source-maps', script], {
      cwd: root,
      detached: true,
      env: { ...process.env, FLIGHT_LAUNCH_TEST_REPORT: reportFile },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let timedOut = false;
    /** @param {Buffer} chunk */
    const keep = (chunk) => {
      output = (output + chunk.toString()).slice(-shownOutput);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', reject);

    const { pid } = child;
    if (pid === undefined) return;
    running.add(pid);
    const term = setTimeout(() => {
      timedOut = true;
      signalGroup(pid, 'SIGTERM');
    }, timeLimit * 1000);
    const kill = setTimeout(() => signalGroup(pid, 'SIGKILL'), timeLimit * 1000 + graceMs);

    child.on('exit', () => {
      clearTimeout(term);
      clearTimeout(kill);
      // A background process that the file left would hold the pipes open for ever.
      signalGroup(pid, 'SIGKILL');
      running.delete(pid);
    });
    child.on('close', (code, signal) => settle({ code, signal, timedOut, output }));
  });
}

/**
 * Everything that is wrong with a file's run, one line each; a failed test is one.
 * @param {Ended} ended
 * @param {SuiteReport[] | undefined} reports
 * @param {number} timeLimit in seconds
 * @returns {string[]}
 */
function problems(ended, reports, timeLimit) {
  const list = (reports ?? []).flatMap(suiteProblems);
  if (ended.timedOut) list.push(`did not end within ${timeLimit} s`);
  else if (reports === undefined) list.push('reported nothing');
  else if (reports.length === 0) list.push('declares no suite');
  if (!ended.timedOut && ended.signal !== null) list.push(`was killed by ${ended.signal}`);
  else if (ended.code !== null && ended.code !== 0 && list.length === 0) {
    list.push(`ended with status ${ended.code}`);
  }
  return list;
}

/**
 * @param {SuiteReport} report
 * @returns {string[]}
 */
function suiteProblems(report) {
  const list = report.hookErrors.map((error) => `suite "${report.name}": hook ${error}`);
  for (let count = 0; count < report.failed; count += 1) list.push(`suite "${report.name}": a test failed`);
  if (report.singled > 0) list.push(`suite "${report.name}": .only sets the other tests aside`);
  if (report.skipped > 0) list.push(`suite "${report.name}": ${report.skipped} skipped`);
  if (report.declared === 0 && report.skipped === 0) list.push(`suite "${report.name}": declares no test`);
  else if (!report.queued) list.push(`suite "${report.name}": .run() was not called`);
  else {
    const finished = report.passed + report.failed;
    if (finished < report.declared && report.singled === 0) {
      list.push(
        `suite "${report.name}": ${report.declared - finished} of ${report.declared} tests did not finish`,
      );
    }
    if (report.hooksFinished < report.hooksStarted)
      list.push(`suite "${report.name}": a hook did not finish`);
  }
  return list;
}

/**
 * @param {string} file
 * @param {number} started milliseconds since the epoch
 * @param {number} passed
 * @param {string[]} wrong
 * @param {string} output
 * @returns {Totals}
 */
function tell(file, started, passed, wrong, output) {
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  const verdict = wrong.length === 0 ? 'ok  ' : 'FAIL';
  const lines = [`${verdict}  ${file}  (${passed} passed, ${wrong.length} failed, ${seconds} s)`];
  if (wrong.length > 0) {
    const text = output.trimEnd();
    if (text !== '') lines.push(...text.split('\n').map((line) => `    | ${line}`));
    lines.push(...wrong.map((problem) => `    ${problem}`));
  }
  console.log(lines.join('\n'));
  return { passed, failed: wrong.length };
}

/**
 * @template T
 * @param {T[]} items
 * @param {number} jobs
 * @param {(item: T) => Promise<void>} work
 */
async function inParallel(items, jobs, work) {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined && !interrupted; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: jobs }, worker));
}

/**
 * @param {number} leader
 * @param {NodeJS.Signals} signal
 */
function signalGroup(leader, signal) {
  try {
    process.kill(-leader, signal);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error;
  }
}

/**
 * @param {string | undefined} text
 * @param {string} option
 * @returns {number | undefined}
 */
function positive(text, option) {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!(number > 0)) throw new Error(`${option} takes a number above 0, not "${text}"`);
  return number;
}

/** Ends the test files, and starts no more, when the runner itself is told to end; the run counts as failed. */
export function forwardSignals() {
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.once(signal, () => {
      for (const leader of running) signalGroup(leader, 'SIGTERM');
      setTimeout(() => {
        for (const leader of running) signalGroup(leader, 'SIGKILL');
      }, graceMs).unref();
      interrupted = true;
    });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  forwardSignals();
  const { passed, failed } = await runTests(process.argv.slice(2));
  console.log(`${passed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}
