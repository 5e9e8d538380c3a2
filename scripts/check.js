import { runChecks } from './checks.js';

const failed = await runChecks();
if (failed > 0) process.exitCode = 1;
