/**
 * Everything: prerequisites, checks, unit and end-to-end tests. What fails before the tests counts as failed in the
 * last line, `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { forwardSignals, runTests } from '../test/run.js';
import { root } from './bundle.js';
import { runChecks } from './checks.js';

/** @type {{ passed: number, failed: number }} */
let totals = { passed: 0, failed: 1 };
const prerequisites = spawnSync('test/prerequisites', { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
if (prerequisites.status === 0) {
  const failedChecks = await runChecks();
  forwardSignals();
  totals = await runTests(process.argv.slice(2));
  totals.failed += failedChecks;
} else {
  console.log(
    `test/prerequisites failed: ${prerequisites.error?.message ?? `status ${prerequisites.status}`}`,
  );
}

console.log(`${totals.passed} passed, ${totals.failed} failed`);
if (totals.failed > 0) process.exitCode = 1;
